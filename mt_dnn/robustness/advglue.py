"""Files of AdvGLUE's shape: adversarial versions of GLUE's tasks in one JSON file (arXiv 2111.02840)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_utils import strict_json
from data_utils.errors import UserError
from data_utils.formats import Row
from data_utils.inputs import text_columns
from data_utils.sources import by_position
from data_utils.task_def import TaskDef
from data_utils.utf8 import not_utf8
from mt_dnn.robustness.challenge import Challenge

TEXTS = (
    ("question1", "question2"),
    ("premise", "hypothesis"),
    ("question", "sentence"),
    ("sentence1", "sentence2"),
    ("sentence",),
)
"""Keys of the texts of a row, in order; the first line whose keys are all there is taken."""
LABELS = (
    ("entailment", "neutral", "contradiction"),
    ("entailment", "not_entailment"),
    ("negative", "positive"),
    ("not_duplicate", "duplicate"),
    ("0", "1"),
)
"""Names of the ids 0, 1 and 2, as GLUE on the Hugging Face hub has them. A task's labels may be in any order."""
GROUPS = ("method", "data_construction")
"""Keys that some files have beside each row."""


def read_advglue(path: Path, tasks: Mapping[str, TaskDef], task: str | None) -> list[Challenge]:
    """JSON object: GLUE's task -> list of rows with label (an id), idx, and the texts under GLUE's keys.

    A part of the file belongs to the task of the run that has the same name, without regard to case and
    hyphens; ``mnli-mm`` belongs to ``mnli``.

    Args:
        path: the file.
        tasks: the tasks of the run.
        task: name of the only task to score; None takes all.

    Returns:
        One challenge set for each part that belongs to a task.

    Raises:
        UserError: the file is malformed, or no task of the run fits.
    """
    parts = _read(path)
    names = {_plain(name): name for name in tasks if task in (None, name)}
    found = []
    for key, rows in parts.items():
        name = names.get(_plain(key.removesuffix("-mm")))
        if name is not None and rows:
            found.append(_part(path, key, rows, tasks[name]))
    if not found:
        whose = "the run has" if task is None else "--task names"
        raise UserError(
            f"{path}: no task that {whose} is in the file. The file has {', '.join(parts)}; "
            f"tasks: {', '.join(names.values())}"
        )
    return found


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _read(path: Path) -> dict[str, list[Any]]:
    try:
        values = strict_json.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise not_utf8(path) from None
    except ValueError as error:
        raise UserError(f"{path}: not JSON: {error}") from None
    if not isinstance(values, dict) or not all(isinstance(own, list) for own in values.values()):
        raise UserError(
            f"{path}: expected an object with a list of rows for each task, such as "
            f'{{"sst2": [{{"idx": 0, "label": 1, "sentence": "..."}}]}}'
        )
    return values


def _part(path: Path, key: str, rows: list[Any], task: TaskDef) -> Challenge:
    columns = text_columns(task)
    ids = _label_names(path, key, task)
    read, gold = [], []
    groups: dict[str, list[str]] = {kind: [] for kind in GROUPS}
    for number, values in enumerate(rows):
        where = f"{path}: {key}, row {number}"
        if not isinstance(values, dict):
            raise UserError(f"{where}: expected an object, found {type(values).__name__}")
        keys = next((own for own in TEXTS if all(name in values for name in own)), None)
        if keys is None:
            raise UserError(
                f"{where}: no texts; expected {', or '.join(' and '.join(own) for own in TEXTS)}"
            )
        named = by_position([values[name] for name in keys], columns)
        if named is None:
            raise UserError(
                f"{where}: {len(keys)} texts ({', '.join(keys)}); task {task.name!r} takes "
                f"{', '.join(columns)}"
            )
        label = values.get("label")
        if type(label) is not int or not 0 <= label < len(ids):
            raise UserError(f"{where}: label {label!r:.60} is not an id from 0 to {len(ids) - 1}")
        uid = str(values.get("idx", number))
        read.append(Row({"uid": uid, "label": "", **named}, where))
        gold.append(ids[label])
        for kind, of_rows in groups.items():
            of_rows.append(str(values.get(kind, "")))
    known = {kind: of_rows for kind, of_rows in groups.items() if any(of_rows)}
    return Challenge(f"advglue/{key}", task.name, read, gold, groups=known)


def _label_names(path: Path, key: str, task: TaskDef) -> tuple[str, ...]:
    """Return the task's label for each id of the file.

    Raises:
        UserError: the task has other labels than GLUE's.
    """
    if not task.labels and not task.label_is_number:
        return tuple(map(str, range(task.n_class)))
    found = next((own for own in LABELS if set(own) == set(task.labels)), None)
    if found is None:
        raise UserError(
            f"{path}: {key}: the labels of task {task.name!r} ({', '.join(task.labels) or 'numbers'}) are none of "
            f"GLUE's: {'; '.join(', '.join(own) for own in LABELS)}"
        )
    return found
