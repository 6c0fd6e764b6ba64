"""Lengths of rows in tokens."""

from __future__ import annotations

from mt_dnn.encoders.pretrained import load_tokenizer, quiet
from mt_dnn.new_task.roles import Roles
from mt_dnn.new_task.rows_file import RowsFile

MOST_TEXTS = 2000
"""Rows whose lengths are measured."""


def token_lengths(file: RowsFile, roles: Roles, encoder: str) -> list[int]:
    """Return the lengths in tokens of rows of a file, evenly spaced over it."""
    rows = file.rows[:: max(1, len(file.rows) // MOST_TEXTS)]
    columns = [
        [" ".join(map(str, v)) if isinstance(v, list) else str(v or "") for v in column]
        for column in ([row.get(name) for row in rows] for name in roles.texts)
    ]
    with quiet():  # long rows are what is measured here, and no reason for a warning
        encoded = load_tokenizer(encoder)(*columns, truncation=False)
    return [len(ids) for ids in encoded["input_ids"]]
