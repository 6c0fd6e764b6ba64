"""The base class of data formats, and what they share."""

from __future__ import annotations

import ast
import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from transformers import PreTrainedTokenizerBase

from data_utils.errors import UserError
from data_utils.labels import LabelKind, LabelSpec, LabelUnit
from data_utils.registry import Registry
from data_utils.task_def import TaskDef


@dataclass(frozen=True)
class Row:
    """One raw row: column name -> value, and where it stands for error messages."""

    values: dict[str, Any]
    where: str

    def text(self, column: str) -> str:
        """The column as text.

        Raises:
            UserError: the row lacks it, or holds a list there.
        """
        value = self.values.get(column)
        if value is None:
            raise UserError(
                f"{self.where}: column {column!r} is missing; the row has "
                f"{', '.join(sorted(self.values))}"
            )
        if isinstance(value, (list, dict)):
            raise UserError(
                f"{self.where}: column {column!r} holds a {type(value).__name__}, not a text"
            )
        return str(value)

    def items(self, column: str, *, separator: str | None = None) -> list[Any]:
        """The column as a list: JSON's or Python's literal, else what ``separator`` (blanks) parts.

        Raises:
            UserError: the row lacks it, or what begins like a literal is none.
        """
        value = self.values.get(column)
        if isinstance(value, (list, tuple)):
            return list(value)
        text = self.text(column).strip()
        if not text.startswith("["):
            return [part.strip() for part in text.split(separator)] if text else []
        for parse in (json.loads, ast.literal_eval):
            try:
                found = parse(text)
            except (ValueError, SyntaxError, MemoryError, RecursionError):
                continue
            if isinstance(found, list):
                return found
        raise UserError(
            f"{self.where}: column {column!r} is not a list: {text[:60]!r}; expected a literal such as "
            f"['a', 'b']"
        )


class DroppedRow(Exception):
    """Raised by ``parse`` for a row to leave out; the message is the reason, which is counted."""


@dataclass(frozen=True)
class Example:
    """One parsed row."""

    uid: str
    texts: tuple[str, ...]
    """Premise; or premise and hypothesis; or premise and every candidate hypothesis."""
    label: Any = None
    """Encoded: id, number, or a list of them; None where the row has no label."""
    extras: dict[str, Any] = field(default_factory=dict)
    """What else of the row a format stores, by the name of the column."""


class DataFormat(ABC):
    """How text becomes ids and labels. Stateless."""

    labels: ClassVar[tuple[LabelSpec, ...]]
    """The labels that rows can hold; the task's type needs one of them."""
    columns: ClassVar[tuple[str, ...]]
    """Of the canonical TSV, in order; a last name ending in * takes all remaining columns."""
    text_columns: ClassVar[tuple[str, ...]]
    """Those of ``columns`` that the model reads."""
    options: ClassVar[dict[str, Any]] = {}
    """Settings that a task may give under ``options``, with their defaults."""
    has_candidates: ClassVar[bool] = False
    """Whether an example is several sequences, one for each candidate."""
    token_row_labels: ClassVar[tuple[LabelSpec, ...]] = ()
    """Those of ``labels`` that MT-DNN's tokenized rows can hold."""

    @abstractmethod
    def parse(self, row: Row, task: TaskDef) -> Example:
        """The example of a row.

        Raises:
            UserError: a malformed row; names its place.
            DroppedRow: a row to leave out.
        """

    @abstractmethod
    def encode(
        self,
        examples: list[Example],
        tokenizer: PreTrainedTokenizerBase,
        task: TaskDef,
        *,
        max_seq_len: int,
    ) -> dict[str, list]:
        """Columns of the store: ``uid``, ``input_ids``, ``token_type_ids`` where the encoder has
        them, ``labels`` (absent or None where unlabelled), and ``truncated`` (bool), which is counted and
        not stored. Any other column goes to ``Batch.extras``.

        One entry per example; lists of lists where examples have candidates. A format that cuts
        long texts into windows stores one entry per window and their number within the example
        in ``window``, from 0. All examples have a label or none has one."""

    def soft_label_shape(self, row: dict[str, Any], n_class: int) -> tuple[int, ...]:
        """Shape of a teacher's logits for one stored example; (C,) unless overridden."""
        return (n_class,)

    def store_soft_labels(self, logits: np.ndarray, row: dict[str, Any]) -> np.ndarray:
        """The logits in the shape in which the store holds them; unchanged unless overridden.

        Args:
            logits: of :meth:`soft_label_shape`; NaN where the teacher has none.

        Raises:
            UserError: logits that the example needs are missing.
        """
        return logits

    def export_label(self, row: dict[str, Any], task: TaskDef) -> dict[str, Any]:
        """The label of a stored example under the keys of MT-DNN's tokenized rows."""
        label = row.get("labels")
        if label is None:
            return {}
        return {"label": label.item() if isinstance(label, np.generic) else label}

    def import_label(self, row: Row, task: TaskDef) -> dict[str, Any]:
        """The inverse of :meth:`export_label`: columns of the store.

        Raises:
            UserError: not a label of the task; names the row's place.
        """
        label = row.values.get("label")
        return {} if label in (None, "") else {"labels": label}


def _check_format(name: str, entry: DataFormat) -> None:
    """Raises TypeError where a format does not derive from DataFormat or lacks an attribute."""
    if not isinstance(entry, DataFormat):
        raise TypeError(f"data_format {name!r}: {entry!r} is not an instance of DataFormat")
    missing = [key for key in ("labels", "columns", "text_columns") if not hasattr(entry, key)]
    if missing:
        raise TypeError(f"data_format {name!r}: {type(entry).__name__} lacks {', '.join(missing)}")


FORMATS: Registry[DataFormat] = Registry("data_format", check=_check_format)

IGNORE = -100
"""Label value of positions that carry none."""
MAX_TARGET_LEN = 64
"""Tokens of a label that is a text, where the task's options have no ``max_target_len``."""
EXAMPLE_LABELS = tuple(
    LabelSpec(kind, LabelUnit.EXAMPLE)
    for kind in (LabelKind.CLASS, LabelKind.NUMBER, LabelKind.SET, LabelKind.TEXT)
)
"""What :func:`parse_label` reads."""
EXAMPLE_TOKEN_ROWS = EXAMPLE_LABELS[:2]
"""MT-DNN's tokenized rows hold a class id or a number."""


def parse_label(row: Row, task: TaskDef) -> Any:
    """The row's label, parsed as the task's type needs it; None for an empty cell, as test splits have.

    Raises:
        UserError: not a label of the task.
        DroppedRow: the label is ``-``, which the NLI corpora write where annotators disagree.
    """
    if task.label.kind is LabelKind.SET:
        return _label_set(row, task)
    text = row.text("label")
    if text.strip() == "":
        return None
    if text.strip() == "-" and "-" not in task.labels:
        raise DroppedRow("without gold label")  # SNLI, MNLI, OCNLI: the annotators disagreed
    if task.label.kind is LabelKind.TEXT:
        return _encoded(row, task.checked_word, text)
    return _encoded(row, task.encode_label, text)


def parse_labels(
    row: Row, task: TaskDef, *, count: int, what: str, separator: str | None = None
) -> list | None:
    """One label for each of ``count`` candidates or words; None for an empty cell.

    Raises:
        UserError: not labels of the task, or another number of them.
    """
    cells = row.items("label", separator=separator)
    if not cells and count:
        return None
    if len(cells) != count or not all(str(cell).strip() for cell in cells):
        raise UserError(
            f"{row.where}: {len(cells)} labels for {count} {what}; give one for each, "
            f"{'by commas' if separator else 'by blanks'} or as a list"
        )
    return [_encoded(row, task.encode_label, str(cell)) for cell in cells]


def _label_set(row: Row, task: TaskDef) -> list[float] | None:
    """1 for each label of the row and 0 for the others; ``[]`` is the row without any."""
    value = row.values.get("label")
    if value is None or (isinstance(value, str) and value.strip() == ""):
        return None
    ids = {_encoded(row, task.encode_label, str(c)) for c in row.items("label", separator=",")}
    return [float(i in ids) for i in range(task.n_class)]


def _encoded(row: Row, encode: Callable[[str], Any], text: str) -> Any:
    try:
        return encode(text)
    except UserError as error:
        raise UserError(f"{row.where}: {error}") from None


def label_columns(
    examples: list[Example], tokenizer: PreTrainedTokenizerBase, task: TaskDef
) -> dict[str, list]:
    """Column ``labels`` of the examples.

    A label that is a text becomes its tokens; column ``target`` then holds the text.
    """
    labels = [example.label for example in examples]
    if labels[0] is None or task.label.kind is not LabelKind.TEXT:
        return {"labels": labels}
    longest = task.options.get("max_target_len", MAX_TARGET_LEN)
    encoded = tokenizer(text_target=labels, truncation=True, max_length=longest)
    return {"labels": encoded["input_ids"], "target": labels}


def encode_pairs(
    first: list[str],
    second: list[str] | None,
    tokenizer: PreTrainedTokenizerBase,
    max_seq_len: int,
) -> dict[str, list]:
    """Tokenize sentences or sentence pairs in one batch, which fast tokenizers run in parallel.

    The longer one of an over-long pair is cut first; ``truncated`` says which rows were.
    ``token_type_ids`` are 1 on the second sentence also where the encoder has no use for them:
    heads that compare the two sentences need to know which is which.
    """
    encoded = tokenizer(first, second, truncation="longest_first", max_length=max_seq_len)
    columns: dict[str, list] = {"input_ids": encoded["input_ids"]}
    if "token_type_ids" in tokenizer.model_input_names:
        columns["token_type_ids"] = encoded["token_type_ids"]
    elif second is not None:
        columns["token_type_ids"] = [
            _second(encoding.sequence_ids) for encoding in encoded.encodings
        ]
    columns["truncated"] = [bool(encoding.overflowing) for encoding in encoded.encodings]
    return columns


def _second(sequence_ids: list[int | None]) -> list[int]:
    """1 from the first token of the second sentence on; special tokens have no sequence id."""
    start = sequence_ids.index(1) if 1 in sequence_ids else len(sequence_ids)
    return [int(position >= start) for position in range(len(sequence_ids))]
