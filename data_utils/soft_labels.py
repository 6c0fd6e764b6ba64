"""A teacher's logits by uid, as ``predict.py --what logits`` writes them, joined to tokenized examples.

A line is ``{"uid": ..., "logits": ...}``; other keys are ignored. The shape of ``logits`` follows from
the data format's ``soft_label_shape``:

| a label per | shape | |
|---|---|---|
| example | (C,) | C = ``n_class``; 1 for a number |
| candidate | (K,) | one for each candidate |
| word | (words, C) | null in place of the list of a word that the teacher did not see |
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from data_utils.errors import UserError
from data_utils.formats import FORMATS
from data_utils.sources import open_lines
from data_utils.task_def import TaskDef
from data_utils.token_table import TokenTable

NAMED = 5
"""How many missing uids a message lists."""


def fingerprint(path: Path) -> str:
    """SHA-256 of the file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class SoftLabels:
    """The logits of one file, for the examples of one (task, split).

    Args:
        path: the file.
        source: name of the rows that the examples are made of, for messages.

    Raises:
        UserError: a malformed line, or a uid that two lines have; names file and lines.
    """

    def __init__(self, path: Path, task: TaskDef, *, source: str) -> None:
        self.path = path
        self.task = task
        self.source = source
        self._format = FORMATS.get(task.data_format)
        self._found: dict[str, tuple[int, Any]] = {}
        """uid -> line, logits."""
        self._asked: set[str] = set()
        self._missing: list[str] = []
        with open_lines(path) as lines:
            try:
                for number, line in enumerate(lines, start=1):
                    if line.strip():
                        self._read(line, number)
            except UnicodeDecodeError as error:
                raise UserError(f"{path}: not UTF-8: {error}") from None

    def _read(self, line: str, number: int) -> None:
        where = f"{self.path}:{number}"
        try:
            values = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"{where}: not JSON: {error}") from None
        for key in ("uid", "logits"):
            if not isinstance(values, dict) or values.get(key) is None:
                raise UserError(
                    f"{where}: key {key!r} is missing; expected a line of predict.py --what logits, such as "
                    f'{{"uid": "7", "logits": [0.2, -1.3]}}'
                )
        uid = str(values["uid"])
        if uid in self._found:
            raise UserError(f"{where}: uid {uid!r} is already on line {self._found[uid][0]}")
        self._found[uid] = number, values["logits"]

    def join(self, table: pa.Table) -> pa.Array:
        """Column ``soft_labels`` of some examples: a list of C or K float32, or for words one of (T, C),
        by token as ``labels`` are: each word's logits at its first sub-word, 0 elsewhere.

        Examples without logits get zeros and are reported by :meth:`close`.

        Raises:
            UserError: two examples have one uid, or logits are not what the example asks for.
        """
        rows = TokenTable(table).take(range(len(table)))
        joined = [
            self._logits({name: column[index] for name, column in rows.items()})
            for index in range(len(table))
        ]
        number = pa.list_(pa.float32())
        if joined[0].ndim == 2:  # by token
            return pa.array(map(list, joined), type=pa.list_(number))
        return pa.array(joined, type=number)

    def _logits(self, row: dict[str, Any]) -> np.ndarray:
        uid = row["uid"]
        if uid in self._asked:
            raise UserError(
                f"{self.source}: two rows have uid {uid!r}, and soft labels are joined by uid"
            )
        self._asked.add(uid)
        shape = self._format.soft_label_shape(row, self.task.n_class)
        if uid not in self._found:
            self._missing.append(uid)
            return self._format.store_soft_labels(np.zeros(shape, np.float32), row)
        line, given = self._found[uid]
        where = f"{self.path}:{line}: uid {uid!r}"
        logits = _array(given, shape, where=where)
        try:
            return self._format.store_soft_labels(logits, row)
        except UserError as error:
            raise UserError(f"{where}: {error}") from None

    def close(self) -> int:
        """Number of logits in the file without an example; call it after the last :meth:`join`.

        Raises:
            UserError: examples without logits; counts them and names the first.
        """
        if self._missing:
            named = ", ".join(map(repr, self._missing[:NAMED]))
            raise UserError(
                f"{self.path}: no logits for {len(self._missing)} of the {len(self._asked)} examples of "
                f"{self.source}: uid {named}{', ...' if len(self._missing) > NAMED else ''}"
            )
        return len(self._found.keys() - self._asked)


def _array(given: Any, shape: tuple[int, ...], *, where: str) -> np.ndarray:
    """float32 of that shape; NaN in place of a null among the lists of words.

    Raises:
        UserError: not such numbers, or not finite.
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
            f"{where}: logits must be {_spelled(shape)} number{'' if shape == (1,) else 's'}"
            f"{' (words x classes)' if len(shape) == 2 else ''}, not "
            f"{_spelled(found.shape) if are_numbers else f'{given!r:.60}'}"
        )
    with np.errstate(over="ignore"):  # what is too large for float32 is infinite
        found = found.astype(np.float32)
    if not np.isfinite(found).all():
        raise UserError(f"{where}: logits are not finite")
    found[unseen] = np.nan
    return found


def _spelled(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a single number"
