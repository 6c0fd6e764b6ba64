"""Task types, one file each. To add a type, add a file and a line in mt_dnn/registries.py."""

import dataclasses
from pathlib import Path

from data_utils.task_def import TaskDef
from data_utils.task_file import read_task_file
from mt_dnn.registries import TASK_TYPES
from mt_dnn.task_types.base import Prediction as Prediction
from mt_dnn.task_types.base import TaskType as TaskType


def load_tasks(path: str | Path) -> dict[str, TaskDef]:
    """Read a task file and check each task against its data format and task type.

    Create TaskDef objects only with this function.

    Args:
        path: the task file.

    Returns:
        Task name -> definition, in the order of the file.

    Raises:
        UserError: an entry is invalid; the message has file, line, task and the valid choices.

    Example:
        >>> from mt_dnn import load_tasks
        >>> tasks = load_tasks("tasks.yml")
        >>> tasks["rte"].labels
        ('entailment', 'not_entailment')
    """
    return read_task_file(path, checked)


def checked(task: TaskDef) -> TaskDef:
    """Return the definition, checked and completed by its type; see :meth:`TaskType.check`."""
    name = TASK_TYPES.canonical(task.task_type, task.where)
    return TASK_TYPES.get(name).check(dataclasses.replace(task, task_type=name))
