"""Find the labels of a task with ``labels: auto``: all labels of its train split."""

from __future__ import annotations

import re
from pathlib import Path

from data_utils.errors import UserError
from data_utils.formats import Row
from data_utils.labels import LabelKind, LabelSpec, LabelUnit
from data_utils.sources import find_source
from data_utils.task_def import TaskDef
from data_utils.token_rows import is_tokenized

SUPPORTED = (
    LabelSpec(LabelKind.CLASS, LabelUnit.EXAMPLE),
    LabelSpec(LabelKind.SET, LabelUnit.EXAMPLE),
    LabelSpec(LabelKind.CLASS, LabelUnit.WORD),
)
"""The labels that can be found: those of Classification, MultiLabel and SequenceLabeling."""


def train_labels(task: TaskDef, label: LabelSpec, data_dir: str | Path) -> tuple[str, ...]:
    """Return all labels of the train split of a task, in a stable order.

    Whole numbers are in numerical order. Otherwise the order is that of the characters' code points,
    which depends neither on the order of the rows nor on the locale. A row without a label, or with the
    label ``-``, which marks rows without a gold label, adds none.

    Args:
        task: definition with a placeholder in place of its labels.
        label: the label that its task type requires.
        data_dir: folder of the rows.

    Raises:
        UserError: the task type has labels of another kind, or the train split has no rows, or no labels,
            or MT-DNN's tokenized rows, which have only ids.
    """
    if label not in SUPPORTED:
        raise UserError(
            f"{task.where}: labels: auto does not fit task_type {task.task_type}, whose label is "
            f"{label}. It fits Classification, MultiLabel and SequenceLabeling"
        )
    found: set[str] = set()
    for split in task.splits("train"):
        source = find_source(task, split, data_dir)
        for row in source.rows() if source else ():
            if is_tokenized(row):
                raise UserError(
                    f"{row.where}: labels: auto needs label words; tokenized rows have ids. List the "
                    f"labels of task {task.name!r}"
                )
            found.update(_labels(row, label))
    if not found:
        splits = " and ".join(task.splits("train")) or "train"
        raise UserError(
            f"{task.where}: labels: auto: the split {splits} has no labelled rows in {data_dir}; add "
            f"them, or list the labels"
        )
    if len(found) < 2 and label == SUPPORTED[0]:
        raise UserError(
            f"{task.where}: labels: auto: all training rows of task {task.name!r} have the label "
            f"{next(iter(found))!r:.60}; a classification needs at least two"
        )
    return tuple(sorted(found, key=int if all(map(_is_integer, found)) else str))


def _labels(row: Row, label: LabelSpec) -> set[str]:
    """Return the labels of a row, as the data formats read them."""
    value = row.values.get("label")
    if value is None or (isinstance(value, str) and not value.strip()):
        return set()
    if label == SUPPORTED[0]:
        text = row.text("label").strip()
        return set() if text == "-" else {text}
    return {str(item).strip() for item in row.items("label", separator=label.separator)}


def _is_integer(text: str) -> bool:
    return re.fullmatch(r"0|-?[1-9][0-9]{0,17}", text) is not None
