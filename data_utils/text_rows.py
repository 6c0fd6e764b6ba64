"""Rows that belong to no task, for embeddings: texts, pairs of texts, and lists of words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from data_utils.errors import UserError
from data_utils.formats import Example, Row
from data_utils.inputs import RowLines, Rows, check_rows, parse_row, without_label
from data_utils.labels import LabelKind, LabelSpec, LabelUnit
from data_utils.sources import complete, join_names
from data_utils.sources.find import csv_to_predict
from data_utils.task_def import TaskDef

SEPARATOR = "|||"
"""Separates the texts of a pair in a line, as in the input files of BERT's and MT-DNN's feature extractors."""
NEEDED = (
    "a row to embed is a text, a pair of texts, or a dict with premise, with premise and hypothesis, "
    "or with tokens, a list of words"
)


def _placeholder(data_format: str, unit: LabelUnit) -> TaskDef:
    """Return a task that only says how rows are parsed and tokenized."""
    return TaskDef(
        name="text",
        data_format=data_format,
        task_type="",
        n_class=1,
        metrics=(),
        metric_for_best="",
        label=LabelSpec(LabelKind.CLASS, unit),
    )


TEXT = _placeholder("PremiseOnly", LabelUnit.EXAMPLE)
PAIR = _placeholder("PremiseAndOneHypothesis", LabelUnit.EXAMPLE)
WORDS = _placeholder("Sequence", LabelUnit.WORD)

_BARE = {1: ("premise",), 2: ("premise", "hypothesis")}
_LAYOUTS = [*_BARE.values(), *(("uid", "label", *columns) for columns in _BARE.values())]


def as_text_row(item: Any, index: int, where: str | None = None) -> Row:
    """Convert a Python or JSON value to a row.

    Args:
        item: a text, a list or tuple of one or two texts, a mapping from column to value, or a Row.
        index: number of the row, for its uid.
        where: place of the row, for messages; defaults to ``row {index}``.

    Raises:
        UserError: ``item`` is something else.
    """
    if isinstance(item, Row):
        return item
    where = f"row {index}" if where is None else where
    if isinstance(item, Mapping):
        return Row(complete(dict(item), index), where)
    texts = [item] if isinstance(item, str) else item
    is_texts = isinstance(texts, (list, tuple)) and all(isinstance(text, str) for text in texts)
    if not is_texts or len(texts) not in _BARE:
        raise UserError(f"{where}: {item!r:.80}: {NEEDED}")
    values = dict(zip(_BARE[len(texts)], texts, strict=True))
    return Row(complete(values, index), where)


def parse_texts(rows: Rows) -> list[tuple[TaskDef, Example]]:
    """Parse the rows to embed; labels are ignored.

    Returns:
        For each row the placeholder task that tokenizes it, :data:`TEXT`, :data:`PAIR` or :data:`WORDS`,
        and the example.

    Raises:
        UserError: a row is malformed, or ``rows`` is a single row.
    """
    check_rows(rows)
    parsed = []
    for index, item in enumerate(rows):
        row = without_label(as_text_row(item, index))
        task = TEXT
        if row.values.get("tokens") is not None:
            task = WORDS
        elif row.values.get("hypothesis") is not None:
            task = PAIR
        parsed.append((task, parse_row(row, task)))
    return parsed


def read_texts(lines: Iterable[str], *, name: str) -> Iterator[Row]:
    """Yield the rows to embed from a TSV or JSON-lines file, each one as soon as its line is read.

    Lines are JSON if ``name`` ends in ``.jsonl`` or the first row is a JSON object; a line may then be
    anything that :func:`as_text_row` takes. TSV has a text, or two texts, or uid and label before these.
    A line with one text is a pair if it contains ``|||``. The header of a .csv file names its columns:
    premise, and others or not.

    Args:
        lines: the lines of the file.
        name: name of the file, for its suffix and for messages.

    Raises:
        UserError: there are no rows, or a row is malformed; the message has file and line.
    """
    if Path(name).suffix == ".csv":
        yield from csv_to_predict(Path(name), TEXT).read(lines)
        return
    opened = RowLines.of(lines, name)
    if opened.is_json:
        yield from opened.json_rows(as_text_row)
        return
    columns = opened.layout(_LAYOUTS)
    if columns is None:
        raise UserError(
            f"{opened.where}: {len(opened.cells)} columns; embeddings need, tab-separated: "
            f"{'; or '.join(join_names(columns) for columns in _LAYOUTS)}. Or give JSON lines."
        )
    for row in opened.tsv_rows(columns):
        line = row.values["premise"]
        yield _split(row, line) if columns == _BARE[1] and SEPARATOR in line else row


def _split(row: Row, line: str) -> Row:
    """Split a line at its separator."""
    texts = [text.strip() for text in line.split(SEPARATOR)]
    if len(texts) != 2 or not all(texts):
        raise UserError(
            f"{row.where}: a pair is two texts with one {SEPARATOR} between them; to embed a text that "
            f'contains {SEPARATOR}, give JSON lines: {{"premise": "..."}}'
        )
    return Row({**row.values, **dict(zip(_BARE[2], texts, strict=True))}, row.where)
