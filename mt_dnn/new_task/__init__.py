"""The command ``mt-dnn new-task``: look at files of rows and write a task entry and a run file."""
