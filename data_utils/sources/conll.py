"""CoNLL columns: a word and its tags on each line, a blank line between sentences."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from data_utils.errors import UserError
from data_utils.files import sha256
from data_utils.formats import Row
from data_utils.sources.base import complete, hash_of
from data_utils.utf8 import numbered, open_lines

DOCUMENT = "-DOCSTART-"
"""First cell of a line that marks the start of a document. It is not a word."""
COMMENTS = ("id", "sent_id", "text", "newdoc", "newpar")
"""Second cells of a comment before a sentence, as in CoNLL-U and MultiCoNER: ``# id 17``."""
COLUMNS = {"tokens": "1", "label": "-1"}
"""Column of the words and of the labels, unless the task file sets others: the first and the last."""


@dataclass(frozen=True)
class ConllSource:
    """A local file with a word on each line: one row per sentence.

    The columns are separated by tabs if the line has one, else by spaces. A blank line, a line that begins
    with -DOCSTART-, or the end of the file ends a sentence. Tags stay as they are (IOB1, IOB2, BIOES). A
    file with words alone has no labels.
    """

    path: Path
    columns: dict[str, str] = field(default_factory=lambda: dict(COLUMNS))
    """``tokens`` and ``label`` -> number of the column, from 1; -1 is the last."""

    @property
    def name(self) -> str:
        return str(self.path)

    def rows(self) -> Iterator[Row]:
        with open_lines(self.path) as lines:
            yield from self.read(lines)

    def read(self, lines: Iterable[str]) -> Iterator[Row]:
        """Yield the sentences of the given lines; the place of a row is the line of its first word."""
        sentence: list[list[str]] = []
        width, start, count = 0, 0, 0
        for number, line in numbered(lines, self.name):
            cells = _cells(line)
            if not cells or cells[0] == DOCUMENT:
                if sentence:
                    yield self._row(sentence, f"{self.name}:{start}", count)
                    sentence, count = [], count + 1
                continue
            if not sentence and _is_comment(cells, width):
                continue
            where = f"{self.name}:{number}"
            if width and len(cells) != width:
                raise UserError(
                    f"{where}: {len(cells)} columns; the lines before it have {width}, separated by a "
                    f"tab or spaces: {line.strip()!r:.80}"
                )
            if not width:
                width = len(cells)
                self._check(width, where)
            start = start if sentence else number
            sentence.append(cells)
        if sentence:
            yield self._row(sentence, f"{self.name}:{start}", count)

    def fingerprint(self) -> str:
        return hash_of(sha256(self.path), self.columns)

    def _check(self, width: int, where: str) -> None:
        """Check that the lines have the columns.

        Raises:
            UserError: they have fewer.
        """
        for name, column in (COLUMNS | self.columns).items():
            if abs(int(column)) > width:
                raise UserError(
                    f"{where}: {width} columns, separated by a tab or spaces; column {column} (for "
                    f"{name!r}) does not exist. Set source: {{columns: {{{name}: NUMBER}}}}, from 1; -1 "
                    f"is the last"
                )

    def _row(self, sentence: list[list[str]], where: str, index: int) -> Row:
        columns = COLUMNS | self.columns
        place = {name: int(number) for name, number in columns.items()}
        at = {name: number - 1 if number > 0 else number for name, number in place.items()}
        values = {"tokens": [cells[at["tokens"]] for cells in sentence]}
        if len(sentence[0]) > 1:
            values["label"] = [cells[at["label"]] for cells in sentence]
        return Row(complete(values, index), where)


def _is_comment(cells: list[str], width: int) -> bool:
    """Whether a line before the first word of a sentence is a comment: ``# id 17``, ``# text = A cat``.

    A line with the word # in its first column is no comment: it has as many columns as the other lines.

    Args:
        width: number of columns of the file; 0 if no word has been read.
    """
    mark, *rest = " ".join(cells).split()
    if mark != "#" or not rest:
        return False
    return rest[0] in COMMENTS or "=" in rest or 0 < width != len(cells)


def _cells(line: str) -> list[str]:
    """Return the cells of a line; none for a blank line.

    A word may be any other blank character, such as a no-break space.
    """
    text = line.strip(" \t\r\n")
    cells = re.split("\t+" if "\t" in text else " +", text) if text else []
    return [cell.strip(" ") for cell in cells]
