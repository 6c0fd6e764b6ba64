"""The tasks of a finished run."""

from __future__ import annotations

from pathlib import Path

from data_utils.task_def import TaskDef
from data_utils.task_file import read_task_file


def read_tasks(folder: Path) -> dict[str, TaskDef]:
    """Read tasks.yml of a run directory. Tasks of older runs need not pass today's checks.

    Raises:
        UserError: the file is missing or damaged.
    """
    return read_task_file(folder / "tasks.yml", lambda task: task)
