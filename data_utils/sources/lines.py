"""Canonical TSV, without a header, and JSON lines: a row in each line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from data_utils import strict_json
from data_utils.errors import UserError
from data_utils.files import sha256
from data_utils.formats import Row
from data_utils.sources.base import by_position, complete, hash_of, join_names, rename
from data_utils.utf8 import numbered, open_lines


@dataclass(frozen=True)
class FileSource:
    """A local TSV or JSON-lines file."""

    path: Path
    columns: tuple[str, ...]
    """Column names of a TSV file, in order."""
    renames: dict[str, str]
    """Our column name -> key in a JSON-lines file."""

    @property
    def name(self) -> str:
        return str(self.path)

    def rows(self) -> Iterator[Row]:
        with open_lines(self.path) as lines:
            yield from self.read(lines, json_lines=self.path.suffix in (".jsonl", ".json"))

    def read(self, lines: Iterable[str], *, json_lines: bool) -> Iterator[Row]:
        """Yield the rows of the given lines, each one as soon as its line is read; skip empty lines."""
        parse = self._json if json_lines else self._tsv
        for number, line in numbered(lines, self.name):
            if line.strip(" \r\n"):
                yield parse(line.rstrip("\r\n"), f"{self.path}:{number}", number - 1)

    def fingerprint(self) -> str:
        digest = sha256(self.path)
        return hash_of(digest, self.renames) if self.renames else digest

    def _tsv(self, line: str, where: str, index: int) -> Row:
        cells = line.split("\t")
        values = by_position(cells, self.columns)
        if values is None:
            many = "at least " if self.columns[-1].endswith("*") else ""
            raise UserError(
                f"{where}: {len(cells)} columns; expected {many}{len(self.columns)}, "
                f"tab-separated: {join_names(self.columns)}"
            )
        return Row(complete(values, index), where)

    def _json(self, line: str, where: str, index: int) -> Row:
        try:
            values = strict_json.loads(line)
        except ValueError as error:
            raise UserError(f"{where}: {strict_json.not_json(line, error)}") from None
        if not isinstance(values, dict):
            raise UserError(f"{where}: expected a JSON object, found {type(values).__name__}")
        return Row(rename(values, self.renames, index, where), where)
