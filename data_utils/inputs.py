"""Rows to predict, from Python values or from lines of a file or a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from data_utils import strict_json
from data_utils.errors import UserError
from data_utils.formats import DroppedRow, Example, Row
from data_utils.registries import FORMATS
from data_utils.sources import FileSource, by_position, complete, join_names
from data_utils.sources.find import csv_to_predict
from data_utils.task_def import TaskDef
from data_utils.utf8 import numbered

Rows = Iterable[Any]
"""Texts, tuples of texts, dicts by column name, or parsed Examples. Labels are optional."""


def text_columns(task: TaskDef) -> tuple[str, ...]:
    """Return the columns of the task's data format that the model reads."""
    return FORMATS.get(task.data_format).text_columns


def as_row(item: Any, task: TaskDef, index: int) -> Row:
    """Convert a Python value to a row.

    Args:
        item: a text, a list or tuple of texts, a mapping from column name to value, or a Row.
        task: the task whose columns the texts fill.
        index: number of the row, for its uid and for error messages.

    Raises:
        UserError: ``item`` has another type or the wrong number of texts.
    """
    if isinstance(item, Row):
        return item
    where = f"row {index}"
    if isinstance(item, Mapping):
        return Row(complete(dict(item), index), where)
    columns = text_columns(task)
    texts = [item] if isinstance(item, str) else item
    if not isinstance(texts, (list, tuple)) or not all(isinstance(text, str) for text in texts):
        raise UserError(
            f"{where}: {item!r:.80} is not a text, a tuple of texts, or a dict by column name; "
            f"task {task.name!r} takes: {join_names(columns)}"
        )
    values = by_position(texts, columns)
    if values is None:
        raise UserError(
            f"{where}: {len(texts)} texts; task {task.name!r} takes: {join_names(columns)}"
        )
    return Row(complete(values, index), where)


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


def parse_rows(rows: Rows, task: TaskDef, *, labels: bool = True) -> list[Example]:
    """Parse Python values with the task's data format; Examples are kept as they are.

    Args:
        labels: False ignores the labels of the rows.

    Raises:
        UserError: a row is malformed, or ``rows`` is a single row, which would be read as many.
    """
    if isinstance(rows, (str, Mapping)):
        raise UserError("rows: expected a list of rows, got a single one; put it in a list")
    examples = []
    for index, item in enumerate(rows):
        if not isinstance(item, Example):
            row = as_row(item, task, index)
            item = parse_row(row if labels else without_label(row), task)
        examples.append(item)
    return examples


def without_label(row: Row) -> Row:
    """Return the row with an empty label."""
    return Row({**row.values, "label": ""}, row.where)


def read_rows(lines: Iterable[str], *, name: str, task: TaskDef) -> Iterator[Row]:
    """Yield the rows of a TSV or JSON-lines file, each one as soon as its line is read.

    Lines are JSON if ``name`` ends in ``.jsonl`` or the first row is a JSON object. Otherwise they
    are TSV with either all canonical columns of the task's format or its text columns only. The
    number of columns of the first row decides which. Formats with candidates have a variable
    number of columns, so their TSV must have all canonical columns.

    Args:
        lines: the lines of the file.
        name: name of the file, for its suffix and for error messages.
        task: the task that the rows belong to.

    Raises:
        UserError: there are no rows, or a row is malformed; the message has file and line.
    """
    if Path(name).suffix == ".csv":
        yield from csv_to_predict(Path(name), task).read(lines)
        return
    lines = (line for _, line in numbered(lines, name))
    skipped = []  # empty lines before the first row; kept so that line numbers stay right
    for first in lines:
        if first.strip():
            break
        skipped.append(first)
    else:
        raise UserError(f"{name}: the file has no rows")
    json_lines = Path(name).suffix == ".jsonl" or _is_object(first)
    columns = FORMATS.get(task.data_format).columns
    if not json_lines:
        columns = _layout(first, task, where=f"{name}:{len(skipped) + 1}")
    source = FileSource(Path(name), columns, {})
    yield from source.read(chain(skipped, [first], lines), json_lines=json_lines)


def _is_object(line: str) -> bool:
    try:
        return isinstance(strict_json.loads(line), dict)
    except ValueError:
        return line.lstrip().startswith("{")  # a damaged object, not a TSV row


def _layout(line: str, task: TaskDef, where: str) -> tuple[str, ...]:
    """Choose the columns of a TSV file by the number of cells in its first row."""
    cells = line.rstrip("\r\n").split("\t")
    canonical, bare = FORMATS.get(task.data_format).columns, text_columns(task)
    layouts = [canonical] if canonical[-1].endswith("*") else [canonical, bare]
    for columns in layouts:
        if by_position(cells, columns) is not None:
            return columns
    raise UserError(
        f"{where}: {len(cells)} columns; task {task.name!r} takes, tab-separated: "
        f"{'; or '.join(join_names(columns) for columns in layouts)}. "
        f"Or give JSON lines with {join_names(bare)}."
    )
