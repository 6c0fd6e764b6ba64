"""CSV and TSV files with a header: the first line names the columns."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from data_utils.errors import UserError
from data_utils.files import sha256
from data_utils.formats import Row
from data_utils.registry import choices_hint
from data_utils.sources.base import complete, hash_of
from data_utils.utf8 import numbered, open_lines

LONGEST_CELL = 2**24
"""Longest cell in characters: 16 million. A quote that is never closed makes a longer one."""


@dataclass(frozen=True)
class DelimitedSource:
    """A local CSV or TSV file whose first line names its columns.

    Cells are quoted as Python's csv module reads them: a cell in double quotes may contain the delimiter,
    line ends, and ``""`` for a double quote.
    """

    path: Path
    renames: dict[str, str]
    """Our column name -> name in the header."""
    delimiter: str = ","
    quoting: bool = True
    """Whether double quotes enclose a cell. False: they are characters of the text."""
    required: tuple[str, ...] = ()
    """Our names of the columns that the header must have. Without ``label``, it may lack the label."""
    to_predict: bool = False
    """Whether the rows are to be predicted: a task that is trained keeps its names of the columns."""

    @property
    def name(self) -> str:
        return str(self.path)

    def rows(self) -> Iterator[Row]:
        with open_lines(self.path) as lines:
            yield from self.read(lines)

    def read(self, lines: Iterable[str]) -> Iterator[Row]:
        """Yield the rows of the given lines, header first; skip empty lines."""
        records = self.records(lines)
        where, header = next(records, (f"{self.name}:1", []))
        names = self._columns(header, where)
        for index, (where, cells) in enumerate(records):
            if len(cells) != len(header):
                raise UserError(
                    f"{where}: {len(cells)} columns; the header has {len(header)}: "
                    f"{', '.join(header)}. {self._advice()}"
                )
            values = dict(zip(header, cells, strict=True))
            values |= {ours: values[theirs] for ours, theirs in names.items()}
            yield Row(complete(values, index), where)

    def records(self, lines: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
        """Yield the place, ``file:line``, and the cells of each record, the header included.

        Raises:
            UserError: a record is malformed; the message has file and line.
        """
        csv.field_size_limit(LONGEST_CELL)
        reader = csv.reader(
            (line for _, line in numbered(lines, self.name)),
            delimiter=self.delimiter,
            quoting=csv.QUOTE_MINIMAL if self.quoting else csv.QUOTE_NONE,
            strict=True,
        )
        while True:
            where = f"{self.name}:{reader.line_num + 1}"
            try:
                cells = next(reader, None)
            except csv.Error as error:
                if "new-line character" in str(error):
                    raise UserError(
                        f"{where}: a carriage return (CR) without a line feed; convert the line ends to LF, or "
                        f"put the cell in double quotes"
                    ) from None
                raise UserError(f"{where}: {error}. {self._advice()}") from None
            if cells is None:
                return
            if any(cell.strip() for cell in cells):
                yield where, cells

    def fingerprint(self) -> str:
        return hash_of(sha256(self.path), self.renames, self.delimiter, self.quoting)

    def _columns(self, header: list[str], where: str) -> dict[str, str]:
        """Return our column name -> name in the header, for the columns that are renamed.

        Raises:
            UserError: the header has a name twice, or lacks a column.
        """
        if not header:
            raise UserError(f"{where}: the file has no header line")
        twice = [name for name, count in Counter(header).items() if count > 1]
        if twice:
            raise UserError(
                f"{where}: the header has {twice[0]!r} twice; rename one of the columns"
            )
        renames = dict(self.renames)
        if "label" not in self.required and renames.get("label") not in header:
            renames.pop("label", None)  # the rows of a test split may have no labels
        wanted = {ours: renames.get(ours, ours) for ours in (*self.required, *renames)}
        for ours, theirs in wanted.items():
            if theirs not in header:
                advice = (
                    f"Rename the columns of the texts: {', '.join(wanted[name] for name in self.required)}. "
                    f"With a task, --columns.{ours} NAME takes them as they are"
                    if self.to_predict
                    else f"Map our names to theirs in the task file, such as source: {{columns: "
                    f"{{{ours}: {header[0]}}}}}"
                )
                raise UserError(
                    f"{where}: the header has no column {theirs!r} (for {ours!r})."
                    f"{choices_hint(theirs, header)} {advice}"
                )
        return renames

    def _advice(self) -> str:
        """Return what may be wrong with a record that cannot be read."""
        if self.quoting:
            return (
                f"A cell that contains {self.delimiter!r}, a line end or a double quote stands in double "
                f'quotes, with "" for a double quote; if quotes are plain characters in this file, set '
                f"source: {{quoting: false}}"
            )
        return (
            f"Cells are separated by {self.delimiter!r}; if double quotes enclose cells in this file, set "
            f"source: {{quoting: true}}"
        )
