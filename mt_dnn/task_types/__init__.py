"""Task types, one file each. To add a type, add a file and import it here."""

import dataclasses
from pathlib import Path

from data_utils.task_def import TaskDef
from data_utils.task_file import read_task_file
from mt_dnn.task_types import classification as classification
from mt_dnn.task_types import cloze_choice as cloze_choice
from mt_dnn.task_types import mask_lm as mask_lm
from mt_dnn.task_types import multi_label as multi_label
from mt_dnn.task_types import multiple_choice as multiple_choice
from mt_dnn.task_types import ranking as ranking
from mt_dnn.task_types import regression as regression
from mt_dnn.task_types import sequence_generation as sequence_generation
from mt_dnn.task_types import sequence_labeling as sequence_labeling
from mt_dnn.task_types import span as span
from mt_dnn.task_types.base import TASK_TYPES as TASK_TYPES
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

    Example::

        tasks = load_tasks("tasks.yml")
        tasks["rte"].labels  # ("not_entailment", "entailment")
    """
    return read_task_file(path, checked)


def checked(task: TaskDef) -> TaskDef:
    """Return the definition, checked and completed by its type; see :meth:`TaskType.check`."""
    name = TASK_TYPES.canonical(task.task_type, task.where)
    return TASK_TYPES.get(name).check(dataclasses.replace(task, task_type=name))
