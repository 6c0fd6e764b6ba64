"""Rows as a user has them, labelled or not: Python values, or the lines of a file or a pipe."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from data_utils.errors import UserError
from data_utils.formats import FORMATS, DroppedRow, Example, Row
from data_utils.sources import FileSource, by_position, complete, spelled
from data_utils.task_def import TaskDef


def text_columns(task: TaskDef) -> tuple[str, ...]:
    """The columns of the task's format that the model reads."""
    return FORMATS.get(task.data_format).text_columns


def as_row(item: Any, task: TaskDef, index: int) -> Row:
    """A text, a sequence of texts, or a mapping by column name, as a row; a row as it is.

    Raises:
        UserError: anything else, or not as many texts as the task takes.
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
            f"task {task.name!r} takes: {spelled(columns)}"
        )
    values = by_position(texts, columns)
    if values is None:
        raise UserError(
            f"{where}: {len(texts)} texts; task {task.name!r} takes: {spelled(columns)}"
        )
    return Row(complete(values, index), where)


def parse_row(row: Row, task: TaskDef) -> Example:
    """The example; where the label says to leave the row out of training, without label.

    Raises:
        UserError: a malformed row.
    """
    data_format = FORMATS.get(task.data_format)
    try:
        return data_format.parse(row, task)
    except DroppedRow:
        return data_format.parse(without_label(row), task)


def without_label(row: Row) -> Row:
    return Row({**row.values, "label": ""}, row.where)


def read_rows(lines: Iterable[str], *, name: str, task: TaskDef) -> Iterator[Row]:
    """The rows in a file's lines, each as soon as its line is there.

    TSV holds the canonical columns of the task's format, or its text columns alone; the first
    line shows which. Where the last column repeats (candidates), the number of columns cannot
    tell, so those are canonical. Lines of JSON objects, by column name, are known by the suffix
    ``.jsonl`` or by the first of them.

    Raises:
        UserError: no rows, or a malformed one; names its line.
    """
    lines = iter(lines)
    skipped = []  # empty lines above the first row; kept, for they count as lines
    for first in lines:
        if first.strip():
            break
        skipped.append(first)
    else:
        raise UserError(f"{name}: no rows in it")
    json_lines = Path(name).suffix == ".jsonl" or _is_object(first)
    columns = FORMATS.get(task.data_format).columns
    if not json_lines:
        columns = _layout(first, task, where=f"{name}:{len(skipped) + 1}")
    source = FileSource(Path(name), columns, {})
    yield from source.read(chain(skipped, [first], lines), json_lines=json_lines)


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _layout(line: str, task: TaskDef, where: str) -> tuple[str, ...]:
    """The columns of a TSV by its first line."""
    cells = line.rstrip("\r\n").split("\t")
    canonical, bare = FORMATS.get(task.data_format).columns, text_columns(task)
    layouts = [canonical] if canonical[-1].endswith("*") else [canonical, bare]
    for columns in layouts:
        if by_position(cells, columns) is not None:
            return columns
    raise UserError(
        f"{where}: {len(cells)} columns; task {task.name!r} takes, tab-separated: "
        f"{'; or '.join(spelled(columns) for columns in layouts)}. "
        f"Or give JSON lines with {spelled(bare)}."
    )
