"""Checks between the tasks of a run: names of files, and settings of shared heads."""

from __future__ import annotations

from data_utils.errors import UserError
from data_utils.task_def import TaskDef, dataset_name

HEAD_CHOICES = ("activation", "pooling", "layers", "enable_san")
"""Fields of TaskDef that select what the head computes."""


def check_file_names(tasks: dict[str, TaskDef]) -> None:
    """Check that no two splits have the same file names: that of the rows, and that of the data set.

    Split ``b_dev`` of task ``a`` and split ``dev`` of task ``a_b`` would both be ``a_b_dev``. Split ``test``
    of task ``a`` and split ``dev`` of task ``a_test`` would both have the data set name ``a_test``. Names
    that differ in case only are one file on some systems.
    """
    owners: dict[str, tuple[TaskDef, str]] = {}
    for task in tasks.values():
        for split in task.split_names:
            for kind, name in (
                ("file name", f"{task.name}_{split}"),
                ("data set name", dataset_name(task.name, split)),
            ):
                owner, other = owners.setdefault(f"{kind} {name}".lower(), (task, split))
                if (owner, other) != (task, split):
                    raise UserError(
                        f"{task.where}: the {kind} of its split {split!r}, {name}, is also that of split "
                        f"{other!r} of task {owner.name!r}; rename one of the tasks"
                    )


def check_shared_heads(tasks: dict[str, TaskDef]) -> None:
    """Check that tasks with a shared head agree on all settings of the head.

    Raises:
        UserError: they differ; the message has the key and both values.
    """
    shape = ("task_type", "n_class", "labels", "dropout", *HEAD_CHOICES)
    owners: dict[str, TaskDef] = {}
    for task in tasks.values():
        owner = owners.setdefault(task.head_name, tasks.get(task.head_name, task))
        # These options change the head, and not the rows or the loss.
        san, other = (
            {name: value for name, value in one.options.items() if name.startswith("san_")}
            for one in (task, owner)
        )
        if san != other:
            raise UserError(
                f"{task.where}: shares head {task.head_name!r} but differs from task {owner.name!r} "
                f"in its options: {san} and {other}"
            )
        for key in shape:
            if getattr(task, key) != getattr(owner, key):
                raise UserError(
                    f"{task.where}: shares head {task.head_name!r} but differs from task "
                    f"{owner.name!r} in {key}: {getattr(task, key)} and {getattr(owner, key)}"
                )
