"""What a data format must provide; one file per format implements it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from transformers import PreTrainedTokenizerBase

from data_utils.registry import Registry, UserError
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


class DataFormat(Protocol):
    """How text becomes ids and labels. Stateless."""

    label_per: str
    """What carries a label, ``example`` or ``candidate``; a task type takes one of them."""
    columns: tuple[str, ...]
    """Of the canonical TSV, in order; a last name ending in * takes all remaining columns."""

    def parse(self, row: Row, task: TaskDef) -> Example:
        """Raises UserError naming the row's place where it is malformed."""

    def encode(
        self,
        examples: list[Example],
        tokenizer: PreTrainedTokenizerBase,
        max_seq_len: int,
    ) -> dict[str, list]:
        """Columns of the store: ``uid``, ``input_ids``, ``token_type_ids`` where the encoder has
        them, ``labels`` (None where unlabelled), and ``truncated`` (bool), which is counted and
        not stored. One entry per example; lists of lists where examples have candidates."""


FORMATS: Registry[DataFormat] = Registry("data_format")


def parse_label(row: Row, task: TaskDef, text: str | None = None) -> int | float | None:
    """The row's label encoded by the task; None for an empty cell, which a test split has.

    Raises:
        UserError: not a label of the task.
        DroppedRow: the label is ``-``, which the NLI corpora write where annotators disagree.
    """
    text = row.text("label") if text is None else text
    if text.strip() == "":
        return None
    if text.strip() == "-" and "-" not in task.labels:
        raise DroppedRow("without gold label")  # SNLI, MNLI, OCNLI: the annotators disagreed
    try:
        return task.encode_label(text)
    except UserError as error:
        raise UserError(f"{row.where}: {error}") from None


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
