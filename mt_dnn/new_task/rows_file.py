"""Read a file of rows of any kind into one table, with the settings that a task needs to read it."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from data_utils.errors import UserError
from data_utils.source_keys import CONLL
from data_utils.sources import ConllSource, DelimitedSource, FileSource, RowSource
from data_utils.utf8 import open_lines

DELIMITERS = (",", ";", "\t", "|")
USUAL = {"csv": (",", True), "tsv": ("\t", False)}
"""Suffix -> its usual delimiter, and whether quotes usually enclose cells."""
LOOKED_AT = 200
"""Records that decide the delimiter and the quoting of a file."""


@dataclass(frozen=True)
class RowsFile:
    """The rows of a file, by the column names of the file."""

    path: Path
    kind: str
    """csv, tsv, jsonl or conll."""
    columns: tuple[str, ...]
    rows: list[dict[str, Any]]
    places: list[str]
    """``file:line`` of each row."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Keys of ``source`` that the file needs: header, delimiter, quoting."""

    def values(self, column: str) -> list[Any]:
        """Return a column; a missing value is an empty text."""
        return ["" if row.get(column) is None else row[column] for row in self.rows]


def read_rows_file(path: Path) -> RowsFile:
    """Read all rows of a .csv, .tsv, .jsonl or CoNLL file.

    Raises:
        UserError: the file does not exist, has another suffix, no header or no rows, or is malformed.
    """
    if path.is_dir():
        raise UserError(f"{path} is a folder; name a file of rows")
    if not path.is_file():
        raise UserError(f"{path}: there is no such file")
    settings: dict[str, Any] = {}
    if path.suffix in (".csv", ".tsv"):
        kind = path.suffix[1:]
        delimiter, quoting = _dialect(path, kind)
        usual_delimiter, usual_quoting = USUAL[kind]
        settings = {"header": True} if kind == "tsv" else {}
        if delimiter != usual_delimiter:
            settings["delimiter"] = delimiter
        if quoting != usual_quoting:
            settings["quoting"] = quoting
        source: RowSource = DelimitedSource(path, {}, delimiter=delimiter, quoting=quoting)
        columns = _header(path, delimiter, quoting)
    elif path.suffix == ".jsonl":
        kind, source = "jsonl", FileSource(path, (), {})
    elif path.name.endswith(CONLL):
        kind, source = "conll", ConllSource(path)
    else:
        raise UserError(
            f"{path}: new-task reads .csv, .tsv, .jsonl and CoNLL columns ({', '.join(CONLL)}); rename "
            f"or convert the file"
        )
    rows, places = [], []
    for row in source.rows():
        rows.append(row.values)
        places.append(row.where)
    if not rows:
        raise UserError(f"{path}: the file has no rows")
    if kind not in USUAL:
        # Sources add a uid, the number of the row, and an empty label where a row has none.
        added = {"uid"} if all(row["uid"] == str(i) for i, row in enumerate(rows)) else set()
        added |= {"label"} if all(row["label"] == "" for row in rows) else set()
        names = dict.fromkeys(name for row in rows for name in row)
        columns = tuple(name for name in names if name not in added)
    return RowsFile(path, kind, columns, rows, places, settings)


def _dialect(path: Path, kind: str) -> tuple[str, bool]:
    """Return the delimiter and whether quotes enclose cells.

    Of the dialects in which the first records all have as many cells as the header, it is the one with
    the most cells; of several, the usual one of the suffix.

    Raises:
        UserError: no dialect fits; the message is that of the usual one.
    """
    usual = USUAL[kind]
    fits: dict[tuple[str, bool], int] = {}
    for delimiter in DELIMITERS if kind == "csv" else ("\t",):
        for quoting in (usual[1], not usual[1]):
            width = _width(path, delimiter, quoting)
            if width > 1:  # with one cell in each line, the delimiter does not occur at all
                fits[delimiter, quoting] = width
    most = max(fits.values(), default=0)
    best = [dialect for dialect, width in fits.items() if width == most]
    if kind == "tsv" and ("\t", True) in best and _has_quoted_cells(path):
        return "\t", True
    return usual if not best or usual in best else best[0]


def _width(path: Path, delimiter: str, quoting: bool) -> int:
    """Return the number of cells of every record; 0 if records differ or cannot be read."""
    try:
        with open_lines(path) as lines:
            records = DelimitedSource(path, {}, delimiter, quoting).records(lines)
            widths = {len(cells) for _, cells in islice(records, LOOKED_AT)}
    except UserError:
        return 0
    return widths.pop() if len(widths) == 1 else 0


def _has_quoted_cells(path: Path) -> bool:
    """Whether cells with doubled quotes inside of quotes occur, as pandas writes them."""
    with open_lines(path) as lines:
        return any(re.search(r'(^|\t)"[^\t]*""[^\t]*"(\t|\r?\n)', line) for line in lines)


def _header(path: Path, delimiter: str, quoting: bool) -> tuple[str, ...]:
    """Return the first line after checking that it may be a header: distinct short names, no numbers.

    Raises:
        UserError: it looks like a row.
    """
    with open_lines(path) as lines:
        where, header = next(
            DelimitedSource(path, {}, delimiter, quoting).records(lines), (f"{path}:1", [])
        )
    if not header:
        raise UserError(f"{path}: the file is empty")
    twice = [name for name, count in Counter(header).items() if count > 1]
    odd = [name for name in header if re.fullmatch(r"[-+.\d]+", name) or len(name) > 60]
    if twice and twice[0].strip():
        raise UserError(f"{where}: two columns are named {twice[0]!r:.60}; rename one of them")
    unnamed = [number for number, name in enumerate(header, start=1) if not name.strip()]
    if unnamed and not odd:
        raise UserError(
            f"{where}: column {unnamed[0]} of the first line has no name. Name it, such as 'id', or write "
            f"the file without it; pandas does with to_csv(index=False)"
        )
    if odd:
        shown = odd[0]
        raise UserError(
            f"{where}: the first line names the columns, and {shown!r:.60} is no name of a column. Write a "
            f"first line such as {delimiter.join(('label', 'text'))!r}; or, for canonical TSV, write the "
            f"task by hand (docs/first-task.md)"
        )
    return tuple(header)


def task_name(path: Path) -> str:
    """Return a name for the task: that of the file without its split, or that of its folder."""
    for text in (path.stem, path.resolve().parent.name):
        name = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")
        name = re.sub(r"_?(train|training)$", "", name, flags=re.IGNORECASE)
        if name:
            return name
    return "mytask"
