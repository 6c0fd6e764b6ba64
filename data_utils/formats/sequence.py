"""Data format: labelled words, as for named entities, parts of speech and chunks."""

from __future__ import annotations

from itertools import accumulate
from typing import Any, ClassVar

import numpy as np
from transformers import PreTrainedTokenizerBase

from data_utils.errors import UserError
from data_utils.formats.base import IGNORE, DataFormat, Example, Row
from data_utils.formats.rows import parse_labels
from data_utils.labels import LabelKind, LabelSpec, LabelUnit
from data_utils.task_def import TaskDef

MARKS = ("X", "CLS", "SEP")
"""Labels in MT-DNN's tokenized rows: of sub-words after a word's first, and of the first and last token."""
CLASS_PER_WORD = (LabelSpec(LabelKind.CLASS, LabelUnit.WORD),)


class Sequence(DataFormat):
    """Words with one label each.

    ``labels`` has an entry for each token: the word's label at its first sub-word, IGNORE elsewhere.
    The additional column ``word_starts`` has the position of each word's first sub-word, or -1 if the
    word was truncated or has no token. ``word_labels`` has the labels of all words, so that metrics
    include truncated ones.
    """

    labels: ClassVar[tuple[LabelSpec, ...]] = CLASS_PER_WORD
    token_row_labels: ClassVar[tuple[LabelSpec, ...]] = CLASS_PER_WORD
    columns: ClassVar[tuple[str, ...]] = ("uid", "label", "tokens")
    text_columns: ClassVar[tuple[str, ...]] = ("tokens",)
    reads_conll: ClassVar[bool] = True

    def parse(self, row: Row, task: TaskDef) -> Example:
        words = row.texts("tokens")
        if not words:
            raise UserError(f"{row.where}: column 'tokens' has no words")
        label = parse_labels(row, task, count=len(words), what="words")
        return Example(row.text("uid"), tuple(words), label)

    def encode(
        self,
        examples: list[Example],
        tokenizer: PreTrainedTokenizerBase,
        task: TaskDef,
        *,
        max_seq_len: int,
    ) -> dict[str, list]:
        # Words are joined to a text, because tokenizers that encode spaces (RoBERTa's and
        # SentencePiece's) were trained on texts.
        texts = [" ".join(example.texts) for example in examples]
        encoded = tokenizer(texts, truncation=True, max_length=max_seq_len)
        starts = [
            _word_starts(encoding, example.texts)
            for encoding, example in zip(encoded.encodings, examples, strict=True)
        ]
        columns: dict[str, list] = {
            "uid": [example.uid for example in examples],
            "input_ids": encoded["input_ids"],
            "truncated": [bool(encoding.overflowing) for encoding in encoded.encodings],
            "word_starts": starts,
        }
        if "token_type_ids" in tokenizer.model_input_names:
            columns["token_type_ids"] = encoded["token_type_ids"]
        if examples[0].label is not None:
            columns["word_labels"] = [example.label for example in examples]
            columns["labels"] = [
                _per_token(example.label, own, len(ids))
                for example, own, ids in zip(examples, starts, encoded["input_ids"], strict=True)
            ]
        return columns

    def soft_label_shape(self, row: dict[str, Any], n_class: int) -> tuple[int, ...]:
        """Return (words, C)."""
        return len(row["word_starts"]), n_class

    def store_soft_labels(self, logits: np.ndarray, row: dict[str, Any]) -> np.ndarray:
        """Return (T, C) with each word's logits at its first sub-word, 0 elsewhere.

        Raises:
            UserError: the teacher has no logits for a word that is not truncated here.
        """
        tokens = np.zeros((len(row["input_ids"]), logits.shape[1]), np.float32)
        for word, start in enumerate(row["word_starts"].tolist()):
            if start < 0:
                continue  # truncated in this run
            if np.isnan(logits[word]).any():
                raise UserError(
                    f"no logits for word {word + 1} of {len(logits)}: the teacher truncated it and this "
                    f"run does not. Use a teacher whose max_seq_len is at least as large"
                )
            tokens[start] = logits[word]
        return tokens

    def export_label(self, row: dict[str, Any], task: TaskDef) -> dict[str, Any]:
        """Return an id for each token, as :mod:`data_utils.token_rows` describes."""
        label = row.get("labels")
        if label is None:
            return {}
        marks = _marks(task)
        # Special tokens occur only at both ends, because an example is a single text.
        inner = [marks["X"] if x == IGNORE else int(x) for x in label[1:-1]]
        return {"label": [marks["CLS"], *inner, marks["SEP"]]}

    def import_label(self, row: Row, task: TaskDef) -> dict[str, Any]:
        """Return the columns ``labels``, ``word_starts`` and ``word_labels``."""
        label = row.values.get("label")
        if label in (None, ""):
            return {}
        count = len(row.values["token_id"])
        if not isinstance(label, list) or len(label) != count:
            raise UserError(
                f"{row.where}: label: {label!r:.60} is not a list with one id for each of {count} tokens"
            )
        marks = set(_marks(task).values())
        bad = [
            x for x in label if type(x) is not int or (x not in marks and not 0 <= x < task.n_class)
        ]
        if bad:
            raise UserError(
                f"{row.where}: label {bad[0]!r:.60} is outside 0..{task.n_class - 1} and is not the id of "
                f"{', '.join(MARKS)}"
            )
        starts = [place for place, x in enumerate(label) if x not in marks]
        return {
            "labels": [IGNORE if x in marks else x for x in label],
            "word_starts": starts,
            "word_labels": [label[place] for place in starts],
        }


def _marks(task: TaskDef) -> dict[str, int]:
    """Return the ids of MARKS; marks that are not labels of the task follow its last label."""
    known = {mark: task.labels.index(mark) for mark in MARKS if mark in task.labels}
    missing = [mark for mark in MARKS if mark not in known]
    return known | {mark: task.n_class + i for i, mark in enumerate(missing)}


def _word_starts(encoding: Any, words: tuple[str, ...]) -> list[int]:
    """Return the position of each word's first token, or -1 if it has none.

    The encoded text is the words joined by spaces.
    """
    begins = accumulate((len(word) + 1 for word in words[:-1]), initial=0)
    starts = []
    for begin, word in zip(begins, words, strict=True):
        # A normalizer may remove the first character of a word, such as a byte-order mark.
        tokens = (encoding.char_to_token(begin + offset) for offset in range(len(word)))
        starts.append(next((token for token in tokens if token is not None), -1))
    return starts


def _per_token(labels: list[int], starts: list[int], length: int) -> list[int]:
    """Return a label for each token: each word's label at its start, IGNORE elsewhere."""
    row = [IGNORE] * length
    for label, start in zip(labels, starts, strict=True):
        if start >= 0:
            row[start] = label
    return row
