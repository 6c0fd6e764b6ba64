"""Read the file formats of the Chinese benchmarks as records: column name -> value."""

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
"""Pairs of location (``file:line``) and record."""

NAMES = {
    **{name: name for name in ("id", "sentence1", "sentence2", "label")},
    "text_a": "sentence1",
    "text_b": "sentence2",
}
"""Column name in the header of a Qianyan file -> column name of CLUE."""
BY_WIDTH: dict[int, tuple[str, ...]] = {
    2: ("sentence1", "sentence2"),
    3: ("sentence1", "sentence2", "label"),
    4: ("id", "sentence1", "sentence2", "label"),
}
"""Number of columns of a TSV file without a header -> names of the columns."""


def read_records(path: Path, skipped: Skipped) -> Records:
    """Read the records of a file, in the format given by its suffix.

    Malformed lines are left out; their location and the reason are appended to ``skipped``.

    Raises:
        UserError: the file is not UTF-8, or not valid JSON or CSV.
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
    """Read CSV with a header. Texts that contain a comma or a quotation mark are quoted."""
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
    """Read TSV without quoting. The first line is a header if it contains only column names."""
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
    """Whether there is a cell for each column. Empty lines are ignored without a message."""
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
