"""Task types, one file each. To add a type, add a file and a line in mt_dnn/registries.py."""

import dataclasses
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from data_utils.auto_labels import train_labels
from data_utils.task_def import TaskDef
from data_utils.task_file import read_task_file
from mt_dnn.registries import TASK_TYPES
from mt_dnn.task_types.base import TaskType as TaskType
from mt_dnn.task_types.prediction import Prediction as Prediction


def load_tasks(
    path: str | Path,
    use: Iterable[str] = (),
    *,
    where: str | None = None,
    data_dir: str | Path | None = None,
) -> dict[str, TaskDef]:
    """Read tasks of a file and check each one against its data format and task type.

    Create TaskDef objects only with this function. Entries that are not named are not checked, so an
    error in one of them does not concern the tasks that are.

    Args:
        path: the task file.
        use: names of the tasks to read. By default all tasks of the file, and all of them are checked.
        where: the setting with the names, and the file, for the message about an unknown name.
        data_dir: folder of the rows, for tasks with ``labels: auto``. None: such a task is an error.

    Returns:
        Task name -> definition, in the order of ``use``, or of the file.

    Raises:
        UserError: there is no task of a name, or its entry is invalid; the message has file, line,
            task and the valid choices.

    Example:
        >>> from mt_dnn import load_tasks
        >>> tasks = load_tasks("tasks.yml")
        >>> tasks["rte"].labels
        ('entailment', 'not_entailment')
    """
    find_labels = None if data_dir is None else partial(_labels_of_train, data_dir=data_dir)
    return read_task_file(path, checked, use=use, where=where, find_labels=find_labels)


def _labels_of_train(task: TaskDef, *, data_dir: str | Path) -> tuple[str, ...]:
    """Return the labels of a task's train split; see :func:`data_utils.auto_labels.train_labels`."""
    return train_labels(task, TASK_TYPES.get(task.task_type, task.where).label, data_dir)


def checked(task: TaskDef) -> TaskDef:
    """Return the definition, checked and completed by its type; see :meth:`TaskType.check`."""
    name = TASK_TYPES.canonical(task.task_type, task.where)
    return TASK_TYPES.get(name).check(dataclasses.replace(task, task_type=name))
