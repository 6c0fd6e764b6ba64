"""The files that Chinese benchmarks come in -> records: column name -> value."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from data_utils.errors import UserError
from experiments.suite import Skipped, numbered_lines

Record = dict[str, Any]
Records = Iterator[tuple[str, Record]]
"""Place (``file:line``) and record."""

NAMES = {
    **{name: name for name in ("id", "sentence1", "sentence2", "label")},
    "text_a": "sentence1",
    "text_b": "sentence2",
}
"""What a Qianyan file calls its columns, where it has a header -> what CLUE calls them."""
BY_WIDTH: dict[int, tuple[str, ...]] = {
    2: ("sentence1", "sentence2"),
    3: ("sentence1", "sentence2", "label"),
    4: ("id", "sentence1", "sentence2", "label"),
}
"""Number of columns of a TSV without a header -> what they are."""


def read_records(path: Path, skipped: Skipped) -> Records:
    """The records of a file; its suffix says how they are written.

    A line that cannot be a record is left out, and ``skipped`` gets its place and why.

    Raises:
        UserError: not UTF-8, or not JSON.
    """
    return READERS[path.suffix](path, skipped)


def _json_lines(path: Path, _: Skipped) -> Records:
    for where, line in numbered_lines(path):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise UserError(f"{where}: not JSON: {error}") from None
        if not isinstance(record, dict):
            raise UserError(f"{where}: expected a JSON object, found {line[:60]!r}")
        yield where, record


def _csv(path: Path, skipped: Skipped) -> Records:
    """With a header; a text that holds a comma or a quotation mark is quoted."""
    rows = csv.reader((line + "\n" for _, line in numbered_lines(path)), strict=True)
    try:
        header = next(rows, [])
        for cells in rows:
            where = f"{path}:{rows.line_num}"
            if _fits(cells, header, where, skipped):
                yield where, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise UserError(f"{path}:{rows.line_num}: not CSV: {error}") from None


def _tsv(path: Path, skipped: Skipped) -> Records:
    """Quotation marks are text. A first line of nothing but column names is a header."""
    header: list[str] = []
    for number, (where, line) in enumerate(numbered_lines(path)):
        cells = line.split("\t")
        if number == 0 and all(cell.strip() in NAMES for cell in cells):
            header = [NAMES[cell.strip()] for cell in cells]
            continue
        columns = header or BY_WIDTH.get(len(cells), ())
        if _fits(cells, columns, where, skipped):
            record = dict(zip(columns, cells, strict=True))
            yield where, record if header else {"label": ""} | record


def _fits(cells: list[str], columns: Sequence[str], where: str, skipped: Skipped) -> bool:
    """Whether there is a cell for each column; an empty line is no mistake."""
    fits = len(cells) == len(columns) and any(cells)
    if not fits and any(cells):
        skipped.append(f"{where}: {len(cells)} columns instead of {len(columns) or '2, 3 or 4'}")
    return fits


READERS: dict[str, Callable[[Path, Skipped], Records]] = {
    ".json": _json_lines,
    ".jsonl": _json_lines,
    ".csv": _csv,
    ".tsv": _tsv,
}
