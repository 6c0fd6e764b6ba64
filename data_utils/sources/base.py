"""RowSource, the protocol of all sources, and what the kinds of source share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from data_utils.errors import UserError
from data_utils.formats import Row


class RowSource(Protocol):
    """The raw rows of one (task, split)."""

    @property
    def name(self) -> str:
        """Name of the source, for messages."""

    def rows(self) -> Iterator[Row]:
        """Yield all rows.

        Raises:
            UserError: a row is malformed; the message has file and line.
        """

    def fingerprint(self) -> str:
        """Return a hash that changes when the rows change."""


def by_position(cells: Sequence[str], columns: Sequence[str]) -> dict[str, Any] | None:
    """Map column names to cells by position.

    If the last column name ends in ``*``, that column is the list of all remaining cells.

    Returns:
        The mapping, or None if the number of cells does not match the number of columns.
    """
    *fixed, last = columns
    many = last.endswith("*")
    if len(cells) < len(columns) or (len(cells) > len(columns) and not many):
        return None
    values: dict[str, Any] = dict(zip(fixed, cells, strict=False))
    rest = list(cells[len(fixed) :])
    return values | {last.rstrip("*"): rest if many else rest[0]}


def join_names(columns: Sequence[str]) -> str:
    """Join column names for a message: ``hypothesis*`` becomes ``hypothesis 1 .. N``."""
    return ", ".join(columns).replace("*", " 1 .. N")


def hash_of(*parts: Any) -> str:
    """Return the SHA-256 of values, as JSON writes them."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def rename(values: dict, renames: dict[str, str], index: int, where: str) -> dict[str, Any]:
    """Rename columns to our names and add a missing uid and label; see :func:`complete`."""
    renamed = {}
    for ours, theirs in renames.items():
        if theirs not in values:
            raise UserError(
                f"{where}: column {theirs!r} (for {ours!r}) is missing; "
                f"the row has {', '.join(sorted(values))}"
            )
        renamed[ours] = values[theirs]
    # In one step, because the mapping may swap two columns.
    return complete(values | renamed, index)


def complete(values: dict[str, Any], index: int) -> dict[str, Any]:
    """Add a missing uid (``idx``, else the row number) and a missing label (empty)."""
    values = dict(values)
    if values.get("uid") is None:
        values["uid"] = str(values.get("idx", index))
    if values.get("label") is None:
        values["label"] = ""
    return values
