"""Check the rows of a new task as a run will read them, so that an error names the file of the user."""

from __future__ import annotations

import math

from data_utils.errors import UserError
from data_utils.formats import Row
from data_utils.registry import choices_hint
from mt_dnn.new_task.kind import Kind, is_label
from mt_dnn.new_task.roles import Roles
from mt_dnn.new_task.rows_file import RowsFile

LARGEST = 1e30
"""Numbers from this size on are no labels: training computes squares of them."""


def check_rows(file: RowsFile, split: str, roles: Roles, kind: Kind) -> None:
    """Check that a file has the columns of the train file, and that its texts and labels can be read.

    Raises:
        UserError: it lacks a column, or a row has a text or a label that a run would refuse.
    """
    needed = roles.texts if split == "test" else (*roles.texts, roles.label)
    for name in needed:
        if name not in file.columns:
            raise UserError(
                f"{file.path}: there is no column {name!r}, which the rows to train on have."
                f"{choices_hint(name, file.columns)} Rename the column"
            )
    words = kind.data_format.value == "Sequence"
    for values, where in zip(file.rows, file.places, strict=True):
        row = Row(values, where)
        for name in roles.texts:
            if words:
                for word in row.items(name):
                    row.checked(word, name)
            else:
                row.text(name)
        label = values.get(roles.label)
        if label is not None and is_label(label):
            _check_label(row, label, roles.label, kind)


def _check_label(row: Row, label: object, column: str, kind: Kind) -> None:
    """Check one label.

    Raises:
        UserError: it contains what is no label.
    """
    if isinstance(label, list):
        for one in label:
            row.checked(one, column)
        return
    text = row.text(column)
    if kind.name == "MultiLabel" and not all(part.strip() for part in text.split(",")):
        raise UserError(f"{row.where}: label {text!r:.60} has a comma with no label beside it")
    if kind.name == "Regression":
        try:
            size = abs(float(text))
        except ValueError:
            size = math.inf
        if not size < LARGEST:
            raise UserError(f"{row.where}: label {text!r:.60} is not a number below {LARGEST:g}")
