"""Rows to predict, from Python values or from lines of a file or a pipe."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Self

from data_utils import strict_json
from data_utils.errors import UserError
from data_utils.formats import DroppedRow, Example, Row
from data_utils.labels import LabelUnit
from data_utils.registries import FORMATS
from data_utils.registry import choices_hint
from data_utils.sources import FileSource, by_position, complete, join_names
from data_utils.sources.base import rename
from data_utils.sources.find import conll_to_predict, csv_to_predict
from data_utils.task_def import TaskDef
from data_utils.utf8 import numbered

Rows = Iterable[Any]
"""Texts, tuples of texts, dicts by column name, or parsed Examples. Labels are optional."""
NAMED_COLUMNS = (".csv", ".tsv", ".jsonl")
"""Suffixes of files to predict that may have column names of their own; a .tsv file then has a header."""


def text_columns(task: TaskDef) -> tuple[str, ...]:
    """Return the columns of the task's data format that the model reads."""
    return FORMATS.get(task.data_format).text_columns


def as_row(item: Any, task: TaskDef, index: int, where: str | None = None) -> Row:
    """Convert a Python or JSON value to a row.

    Args:
        item: a text, a list or tuple of texts, a mapping from column name to value, or a Row. Where a
            row is a list of words, so are two or more texts; one text is split at blanks.
        task: the task whose columns the texts fill.
        index: number of the row, for its uid.
        where: place of the row, for messages; defaults to ``row {index}``.

    Raises:
        UserError: ``item`` has another type or the wrong number of texts.
    """
    if isinstance(item, Row):
        return item
    where = f"row {index}" if where is None else where
    if isinstance(item, Mapping):
        return Row(complete(dict(item), index), where)
    columns = text_columns(task)
    texts = [item] if isinstance(item, str) else item
    if not isinstance(texts, (list, tuple)) or not all(isinstance(text, str) for text in texts):
        raise UserError(
            f"{where}: {item!r:.80} is not a text, a tuple of texts, or a dict by column name; "
            f"task {task.name!r} takes: {join_names(columns)}"
        )
    if takes_words(task) and len(texts) > 1:
        return Row(complete({columns[0]: list(texts)}, index), where)
    values = by_position(texts, columns)
    if values is None:
        raise UserError(
            f"{where}: {len(texts)} texts; task {task.name!r} takes: {join_names(columns)}"
        )
    return Row(complete(values, index), where)


def takes_words(task: TaskDef) -> bool:
    """Return whether a row of the task is a list of words."""
    return any(spec.per is LabelUnit.WORD for spec in FORMATS.get(task.data_format).labels)


def named_texts(example: Example, task: TaskDef) -> dict[str, Any]:
    """Return the texts of an example by column; candidates and words are lists."""
    if takes_words(task):
        return {text_columns(task)[0]: list(example.texts)}
    return by_position(example.texts, text_columns(task)) or {}


def parse_row(row: Row, task: TaskDef) -> Example:
    """Parse a row for prediction.

    A row that training drops because of its label is parsed without a label.

    Raises:
        UserError: the row is malformed.
    """
    data_format = FORMATS.get(task.data_format)
    try:
        return data_format.parse(row, task)
    except DroppedRow:
        return data_format.parse(without_label(row), task)


def parse_rows(rows: Rows, task: TaskDef) -> list[Example]:
    """Parse Python values with the task's data format; Examples are kept as they are.

    Raises:
        UserError: a row is malformed, or ``rows`` is a single row, which would be read as many.
    """
    check_rows(rows)
    examples = []
    for index, item in enumerate(rows):
        if not isinstance(item, Example):
            item = parse_row(as_row(item, task, index), task)
        examples.append(item)
    return examples


def check_rows(rows: Rows) -> None:
    """Raise UserError for a single row, which would be read as many."""
    if isinstance(rows, (str, Mapping)):
        raise UserError("rows: expected a list of rows, got a single one; put it in a list")


def without_label(row: Row) -> Row:
    """Return the row with an empty label."""
    return Row({**row.values, "label": ""}, row.where)


def read_rows(
    lines: Iterable[str],
    *,
    name: str,
    task: TaskDef,
    columns: Mapping[str, str] | None = None,
) -> Iterator[Row]:
    """Yield the rows of a TSV or JSON-lines file, each one as soon as its line is read.

    Lines are JSON if ``name`` ends in ``.jsonl`` or the first row is a JSON object; a line may then be
    anything that :func:`as_row` takes. Otherwise they are TSV with either all canonical columns of the
    task's format or its text columns only. The number of columns of the first row decides which. Formats
    with candidates have a variable number of columns, so their TSV must have all canonical columns. The
    suffixes .csv and, for lists of words, .conll, .bio, .iob and .iob2 select these kinds of file.

    Args:
        lines: the lines of the file.
        name: name of the file, for its suffix and for error messages.
        task: the task that the rows belong to.
        columns: our column name -> name in the file: of a CSV file, JSON objects, or a TSV file, whose
            first line then names its columns. None: the names are ours, or those of the task's ``source``.

    Raises:
        UserError: there are no rows, a row is malformed, or a column is missing or unknown; the message has
            file and line.
    """
    if columns:
        _check_columns(columns, name, task)
    if Path(name).suffix == ".csv" or (columns and Path(name).suffix == ".tsv"):
        yield from csv_to_predict(Path(name), task, columns or None).read(lines)
        return
    if (conll := conll_to_predict(Path(name), task)) is not None:
        yield from conll.read(lines)
        return
    opened = RowLines.of(lines, name)
    if opened.is_json:

        def convert(value: Any, index: int, where: str) -> Row:
            if isinstance(value, dict):
                value = rename(value, dict(columns), index, where) if columns else value
                _check_texts(value, task, where)
            return as_row(value, task, index, where)

        yield from opened.json_rows(convert)
        return
    canonical, bare = FORMATS.get(task.data_format).columns, text_columns(task)
    layouts = [canonical] if canonical[-1].endswith("*") else [canonical, bare]
    layout = opened.layout(layouts)
    if layout is None:
        raise UserError(
            f"{opened.where}: {len(opened.cells)} columns; task {task.name!r} takes, tab-separated: "
            f"{'; or '.join(join_names(names) for names in layouts)}. "
            f"Or give JSON lines with {join_names(bare)}."
        )
    yield from opened.tsv_rows(layout)


def _check_texts(value: Mapping[str, Any], task: TaskDef, where: str) -> None:
    """Refuse a JSON row with none of the columns of texts: its file has other names for them."""
    texts = [own.rstrip("*") for own in text_columns(task)]
    if not any(own in value for own in texts):
        raise UserError(
            f"{where}: the row has no {' or '.join(texts)}; it has {', '.join(sorted(value))}. "
            f"Name the column with --columns.{texts[0]} NAME"
        )


def _check_columns(columns: Mapping[str, str], name: str, task: TaskDef) -> None:
    """Check names for the columns of a file; see :func:`read_rows`."""
    known = [own.rstrip("*") for own in FORMATS.get(task.data_format).columns]
    for ours in columns:
        if ours not in known:
            raise UserError(
                f"--columns: data_format {task.data_format} has no column {ours!r}."
                f"{choices_hint(ours, known)}"
            )
    if Path(name).suffix not in NAMED_COLUMNS:
        raise UserError(
            f"--columns: {name} has no column names; it applies to files that end in "
            f"{', '.join(NAMED_COLUMNS)}"
        )


@dataclass(frozen=True)
class RowLines:
    """The lines of a file of rows, of which the first row is known."""

    name: str
    lines: Iterator[str]
    """All lines."""
    first: str
    """The line of the first row."""
    where: str
    """Place of the first row."""

    @classmethod
    def of(cls, lines: Iterable[str], name: str) -> Self:
        """Read up to the first row.

        Raises:
            UserError: there are no rows, or a line is not UTF-8.
        """
        lines = (line for _, line in numbered(lines, name))
        skipped: list[str] = []  # empty lines before the first row, so that line numbers stay right
        for first in lines:
            if first.strip():
                where = f"{name}:{len(skipped) + 1}"
                return cls(name, chain(skipped, [first], lines), first, where)
            skipped.append(first)
        raise UserError(f"{name}: the file has no rows")

    @property
    def is_json(self) -> bool:
        """Whether the file is called .jsonl or its first row is a JSON object."""
        return Path(self.name).suffix == ".jsonl" or _is_object(self.first)

    @property
    def cells(self) -> list[str]:
        """The cells of the first row, if the file is TSV."""
        return self.first.rstrip("\r\n").split("\t")

    def layout(self, layouts: Sequence[tuple[str, ...]]) -> tuple[str, ...] | None:
        """Return the first layout of columns that fits the number of cells of the first row."""
        fitting = (own for own in layouts if by_position(self.cells, own) is not None)
        return next(fitting, None)

    def tsv_rows(self, columns: tuple[str, ...]) -> Iterator[Row]:
        """Yield the rows of a TSV file."""
        yield from FileSource(Path(self.name), columns, {}).read(self.lines, json_lines=False)

    def json_rows(self, convert: Callable[[Any, int, str], Row]) -> Iterator[Row]:
        """Yield ``convert(value, index, where)`` of each line."""
        for index, line in enumerate(self.lines):
            if line.strip(" \r\n"):
                where = f"{Path(self.name)}:{index + 1}"
                try:
                    value = strict_json.loads(line.rstrip("\r\n"))
                except ValueError as error:
                    raise UserError(f"{where}: not JSON: {error}") from None
                yield convert(value, index, where)


def _is_object(line: str) -> bool:
    try:
        return isinstance(strict_json.loads(line), dict)
    except ValueError:
        return line.lstrip().startswith("{")  # a damaged object, not a TSV row
