"""DataFormat, the base class of data formats; a row and an example."""

from __future__ import annotations

import ast
import dataclasses
import json
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from transformers import PreTrainedTokenizerBase

from data_utils.errors import UserError
from data_utils.labels import LabelSpec
from data_utils.task_def import TaskDef


@dataclass(frozen=True)
class Row:
    """One raw row."""

    values: dict[str, Any]
    """Column name -> value."""
    where: str
    """Place of the row, such as ``file:line``; error messages begin with it."""

    def text(self, column: str) -> str:
        """Return the value of a column as text.

        Raises:
            UserError: the column is missing, or its value is a list or dict.
        """
        value = self.values.get(column)
        if value is None:
            what = "null" if column in self.values else "missing"
            there = ", ".join(sorted(map(str, self.values)))
            raise UserError(f"{self.where}: column {column!r} is {what}; the row has {there}")
        return self.checked(value, column)

    def checked(self, value: Any, column: str) -> str:
        """Return a value of ``column``, or an item of its list, as text.

        Raises:
            UserError: the value is null, a list or a dict, or NaN; or a text that cannot be encoded or
                contains NUL. true and false are valid labels only.
        """
        place = f"{self.where}: column {column!r}"
        if isinstance(value, str):
            if "\0" in value:
                raise UserError(
                    f"{place} contains the character NUL; remove it, or write the file in UTF-8"
                )
            if not value.isascii() and not _is_unicode(value):
                raise UserError(
                    f"{place} contains half of a surrogate pair, which is not a character; remove it"
                )
            return value
        wrong = value is None or isinstance(value, (list, tuple, dict))
        if wrong or (isinstance(value, bool) and column != "label"):
            raise UserError(f"{place} contains a {type(value).__name__}, not a text")
        if isinstance(value, (int, float)) and abs(value) < math.inf:
            return str(value)
        if isinstance(value, float) and column != "label":
            raise UserError(f"{place} contains {value}, not a text")
        return str(value)

    def items(self, column: str, *, separator: str | None = None, texts: bool = False) -> list[Any]:
        """Return the value of a column as a list.

        A text that begins with ``[`` is parsed as a JSON or Python literal. Any other text is split
        at ``separator``, which defaults to whitespace.

        Args:
            separator: separator of the items of a text.
            texts: whether the items are texts. Then only ``["`` and ``['`` begin a literal, because a
                sentence may begin with ``[``.

        Raises:
            UserError: the column is missing, or its text begins a literal and is not one.
        """
        value = self.values.get(column)
        if isinstance(value, (list, tuple)):
            return list(value)
        text = self.text(column).strip()
        inner = text[1:].lstrip()[:1] or "x"
        if not text.startswith("[") or (texts and inner not in "\"']"):
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

    def texts(self, column: str, *, separator: str | None = None) -> list[str]:
        """Return the value of a column as a list of texts.

        Raises:
            UserError: as :meth:`items`, or an item is not a text or is blank.
        """
        found = [
            self.checked(item, column)
            for item in self.items(column, separator=separator, texts=True)
        ]
        for number, item in enumerate(found, start=1):
            if not item.strip(" \t\r\n"):  # other blanks may be words of a corpus
                raise UserError(f"{self.where}: column {column!r}: text {number} is empty")
        return found


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class DroppedRow(Exception):
    """Raised by ``parse`` for a row to drop. The message is the reason; rows are counted by it."""


@dataclass(frozen=True)
class Example:
    """One parsed row."""

    uid: str
    texts: tuple[str, ...]
    """The texts of the row, such as premise, or premise and hypothesis, or premise and all candidates."""
    label: Any = None
    """Encoded label: an id, a number or a list of them. None if the row has no label."""
    extras: dict[str, Any] = field(default_factory=dict)
    """Column name -> other values that the format stores."""


class DataFormat(ABC):
    """Converts rows of text to token ids and labels. Has no state."""

    labels: ClassVar[tuple[LabelSpec, ...]]
    """The label specifications that rows support. The task type must require one of them."""
    columns: ClassVar[tuple[str, ...]]
    """Columns of the canonical TSV, in order. If the last name ends in ``*``, it takes all remaining cells."""
    text_columns: ClassVar[tuple[str, ...]]
    """The columns whose text the model reads."""
    shared_column: ClassVar[str | None] = None
    """Column whose text several rows may share, such as a passage with several questions. Confidence
    intervals resample these rows together."""
    perturbed_columns: ClassVar[tuple[str, ...] | None] = None
    """The text columns that may be misspelled and so on while the label stays valid, as ``mt-dnn robustness``
    does; None: all of ``text_columns``."""
    optional_keys: ClassVar[tuple[str, ...]] = ()
    """Keys of JSON rows that are read besides the columns."""
    options: ClassVar[dict[str, Any]] = {}
    """Options that a task may set under ``options``, with their defaults."""
    reads_conll: ClassVar[bool] = False
    """Whether its rows can be sentences of a file of CoNLL columns."""
    has_candidates: ClassVar[bool] = False
    """Whether an example has several sequences, one for each candidate."""
    takes_windows: ClassVar[bool] = False
    """Whether a task may set ``windows``: :meth:`encode` then returns a list of sequences per example."""
    token_row_labels: ClassVar[tuple[LabelSpec, ...]] = ()
    """The label specifications that MT-DNN's tokenized rows support."""

    @abstractmethod
    def parse(self, row: Row, task: TaskDef) -> Example:
        """Parse a row.

        Raises:
            UserError: the row is malformed; the message begins with its place.
            DroppedRow: the row is to be dropped.
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
        """Tokenize examples and return the columns of the store.

        Args:
            examples: parsed examples. Either all have a label or none has one.
            tokenizer: the encoder's tokenizer.
            task: task of the examples.
            max_seq_len: greatest length of a sequence, in tokens.

        Returns:
            Column name -> one entry per example, or one list per example with candidates, or with
            ``task.windows``:

            * ``uid`` and ``input_ids``;
            * ``token_type_ids`` if the encoder uses them;
            * ``labels``, absent or None if the examples are unlabelled;
            * ``truncated`` (bool), which is counted and not stored;
            * any other column, which becomes an entry of ``Batch.extras``.

            A format that always splits long texts into windows returns one entry per window, and the column
            ``window`` with the number of the window in its example, from 0.
        """

    def soft_label_shape(self, row: dict[str, Any], n_class: int) -> tuple[int, ...]:
        """Return the shape of a teacher's logits for one stored example; by default (C,)."""
        return (n_class,)

    def store_soft_labels(self, logits: np.ndarray, row: dict[str, Any]) -> np.ndarray:
        """Convert logits to the shape in which they are stored; by default the same shape.

        Args:
            logits: array of :meth:`soft_label_shape`; NaN where the teacher has no logits.
            row: the stored example.

        Raises:
            UserError: logits that the example needs are missing.
        """
        return logits

    def export_label(self, row: dict[str, Any], task: TaskDef) -> dict[str, Any]:
        """Return the label of a stored example with the keys of MT-DNN's tokenized rows."""
        label = row.get("labels")
        if label is None:
            return {}
        return {"label": label.item() if isinstance(label, np.generic) else label}

    def import_label(self, row: Row, task: TaskDef) -> dict[str, Any]:
        """Convert the label of a tokenized row to columns; the inverse of :meth:`export_label`.

        Raises:
            UserError: the label is not valid for the task; the message begins with the row's place.
        """
        label = row.values.get("label")
        return {} if label in (None, "") else {"labels": label_number(row, task, label)}


def label_number(row: Row, task: TaskDef, value: Any) -> int | float:
    """Check a label of a tokenized row: the id of a class, or a number.

    Raises:
        UserError: the label is not valid for the task; the message begins with the row's place.
    """
    if type(value) not in (int, float):
        raise UserError(f"{row.where}: label {value!r:.60} is not a number")
    try:
        # The labels of tokenized rows are ids even if the task has label words.
        return dataclasses.replace(task, labels=()).encode_label(value)
    except UserError as error:
        raise UserError(f"{row.where}: {error}") from None


def create_format(name: str, cls: type[DataFormat]) -> DataFormat:
    """Return the instance of a registered class.

    Raises:
        TypeError: the class does not derive from DataFormat, or lacks a required part.
    """
    if not (isinstance(cls, type) and issubclass(cls, DataFormat)):
        raise TypeError(f"data_format {name!r}: {cls!r} does not derive from DataFormat")
    missing = sorted(cls.__abstractmethods__)
    missing += [key for key in ("labels", "columns", "text_columns") if not hasattr(cls, key)]
    if missing:
        raise TypeError(
            f"data_format {name!r}: {cls.__name__} does not define {', '.join(missing)}"
        )
    return cls()


IGNORE = -100
"""Label of positions without a label."""
