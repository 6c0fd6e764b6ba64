"""DataFormat, the base class of data formats; a row and an example."""

from __future__ import annotations

import ast
import json
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
            raise UserError(
                f"{self.where}: column {column!r} is missing; the row has "
                f"{', '.join(sorted(self.values))}"
            )
        if isinstance(value, (list, dict)):
            raise UserError(
                f"{self.where}: column {column!r} contains a {type(value).__name__}, not a text"
            )
        return str(value)

    def items(self, column: str, *, separator: str | None = None) -> list[Any]:
        """Return the value of a column as a list.

        A text that begins with ``[`` is parsed as a JSON or Python literal. Any other text is split
        at ``separator``, which defaults to whitespace.

        Raises:
            UserError: the column is missing, or its text begins with ``[`` and is not a literal.
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
    options: ClassVar[dict[str, Any]] = {}
    """Options that a task may set under ``options``, with their defaults."""
    has_candidates: ClassVar[bool] = False
    """Whether an example has several sequences, one for each candidate."""
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
            Column name -> one entry per example, or one list per example with candidates:

            * ``uid`` and ``input_ids``;
            * ``token_type_ids`` if the encoder uses them;
            * ``labels``, absent or None if the examples are unlabelled;
            * ``truncated`` (bool), which is counted and not stored;
            * any other column, which becomes an entry of ``Batch.extras``.

            A format that splits long texts into windows returns one entry per window, and the column
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
        return {} if label in (None, "") else {"labels": label}


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
