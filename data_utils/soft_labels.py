"""Soft labels: the logits of a teacher, read from a file and joined to examples by uid.

``mt-dnn predict --what logits`` writes such a file. Each line is ``{"uid": ..., "logits": ...}``; other
keys are ignored. The method ``soft_label_shape`` of the data format determines the shape of ``logits``:

| label per | shape | note |
|---|---|---|
| example | (C,) | C = ``n_class``; 1 for a number |
| candidate | (K,) | one logit for each of K candidates |
| word | (words, C) | null instead of a list for a word that the teacher truncated |
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from data_utils import strict_json
from data_utils.errors import UserError
from data_utils.registries import FORMATS
from data_utils.task_def import TaskDef
from data_utils.token_table import TokenTable
from data_utils.utf8 import numbered, open_lines

MAX_LISTED = 5
"""Largest number of missing uids that an error message lists."""


class SoftLabels:
    """The soft labels of one file, for the examples of one (task, split).

    Call :meth:`join` for each chunk of examples, then :meth:`close`.

    Args:
        path: file of soft labels.
        task: task of the examples.
        source: name of the source of the rows, for error messages.

    Raises:
        UserError: a line is malformed, or two lines have the same uid; the message has file and line.
    """

    def __init__(self, path: Path, task: TaskDef, *, source: str) -> None:
        self.path = path
        self.task = task
        self.source = source
        self._format = FORMATS.get(task.data_format)
        self._lines: dict[str, tuple[int, Any]] = {}
        """uid -> (line number, logits)."""
        self._joined: set[str] = set()
        """uids of all examples so far."""
        self._missing: list[str] = []
        """uids of the examples without logits."""
        with open_lines(path) as lines:
            for number, line in numbered(lines, path):
                if line.strip():
                    self._read(line, number)

    def _read(self, line: str, number: int) -> None:
        where = f"{self.path}:{number}"
        try:
            values = strict_json.loads(line)
        except ValueError as error:
            raise UserError(f"{where}: not JSON: {error}") from None
        for key in ("uid", "logits"):
            if not isinstance(values, dict) or values.get(key) is None:
                raise UserError(
                    f"{where}: key {key!r} is missing; expected a line of mt-dnn predict --what logits, such as "
                    f'{{"uid": "7", "logits": [0.2, -1.3]}}'
                )
        uid = str(values["uid"])
        if uid in self._lines:
            raise UserError(f"{where}: uid {uid!r} is already on line {self._lines[uid][0]}")
        self._lines[uid] = number, values["logits"]

    def join(self, table: pa.Table) -> pa.Array:
        """Return the column ``soft_labels`` for a table of examples.

        An entry is a list of C or K float32. For labels per word it is a nested list (T, C), aligned
        with tokens: each word's logits are at its first sub-word, other positions are 0. Examples
        without logits get zeros, and :meth:`close` raises an error for them.

        Raises:
            UserError: two examples have the same uid, or the logits have the wrong shape.
        """
        rows = TokenTable(table).take(range(len(table)))
        joined = [
            self._logits({name: column[index] for name, column in rows.items()})
            for index in range(len(table))
        ]
        number = pa.list_(pa.float32())
        if joined[0].ndim == 2:  # (T, C), aligned with tokens
            return pa.array(map(list, joined), type=pa.list_(number))
        return pa.array(joined, type=number)

    def _logits(self, row: dict[str, Any]) -> np.ndarray:
        uid = row["uid"]
        if uid in self._joined:
            raise UserError(
                f"{self.source}: two rows have uid {uid!r}; soft labels need unique uids, because they "
                f"are joined by uid"
            )
        self._joined.add(uid)
        shape = self._format.soft_label_shape(row, self.task.n_class)
        if uid not in self._lines:
            self._missing.append(uid)
            return self._format.store_soft_labels(np.zeros(shape, np.float32), row)
        line, given = self._lines[uid]
        where = f"{self.path}:{line}: uid {uid!r}"
        logits = _array(given, shape, where=where)
        try:
            return self._format.store_soft_labels(logits, row)
        except UserError as error:
            raise UserError(f"{where}: {error}") from None

    def close(self) -> int:
        """Check that every example had logits. Call this after the last :meth:`join`.

        Returns:
            The number of lines of the file that belong to no example.

        Raises:
            UserError: some examples had no logits; the message has their number and the first uids.
        """
        if self._missing:
            named = ", ".join(map(repr, self._missing[:MAX_LISTED]))
            raise UserError(
                f"{self.path}: no logits for {len(self._missing)} of the {len(self._joined)} examples of "
                f"{self.source}: uid {named}{', ...' if len(self._missing) > MAX_LISTED else ''}"
            )
        return len(self._lines.keys() - self._joined)


def _array(given: Any, shape: tuple[int, ...], *, where: str) -> np.ndarray:
    """Convert logits to a float32 array of the given shape; null for a word becomes NaN.

    Raises:
        UserError: the logits are not numbers, have another shape, or are not finite.
    """
    rows, unseen = given, np.zeros(shape[0], bool)
    if len(shape) == 2 and isinstance(given, list) and len(given) == shape[0]:
        unseen[:] = [row is None for row in given]
        rows = [[0.0] * shape[1] if row is None else row for row in given]
    try:
        found = np.asarray(rows)
    except ValueError:  # lists of unequal length
        found = np.empty(0)
    if found.shape != shape or found.dtype.kind not in "iuf":
        are_numbers = found.dtype.kind in "iuf" and found.size
        raise UserError(
            f"{where}: logits must be {_shape_text(shape)} number{'' if shape == (1,) else 's'}"
            f"{' (words x classes)' if len(shape) == 2 else ''}, not "
            f"{_shape_text(found.shape) if are_numbers else f'{given!r:.60}'}"
        )
    # Values too large for float32 become infinite and are rejected below.
    with np.errstate(over="ignore"):
        found = found.astype(np.float32)
    if not np.isfinite(found).all():
        raise UserError(f"{where}: logits are not finite")
    found[unseen] = np.nan
    return found


def _shape_text(shape: tuple[int, ...]) -> str:
    """Return a shape as text, such as ``3 x 2``."""
    return " x ".join(map(str, shape)) or "a single number"
