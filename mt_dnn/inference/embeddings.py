"""Embeddings of texts, pairs and words by the shared encoder, at any layer."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, TypeVar

import numpy as np
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from data_utils.collator import Batch
from data_utils.encoded_rows import EncodedRows
from data_utils.errors import UserError
from data_utils.formats import Example
from data_utils.inputs import Rows
from data_utils.registry import choices_hint
from data_utils.task_def import TaskDef
from data_utils.text_rows import WORDS, parse_texts
from mt_dnn.heads.pooled import pool
from mt_dnn.inference.loop import Precision, Read, map_batches
from mt_dnn.model import MTDNN

T = TypeVar("T")

Pooling = Literal["cls", "mean", "max"]
Offset = tuple[int, int, int]
"""Place of a token: the number of its text in the row, start and end (exclusive) of its characters there."""


@dataclass(frozen=True)
class TokenEmbeddings:
    """The embeddings of the T tokens of one row."""

    tokens: list[str]
    """T tokens, special ones included."""
    offsets: list[Offset | None]
    """The place of each token in the row: text 0 is the premise and 1 the hypothesis; in a list of words,
    each word is a text. None for special tokens."""
    vectors: np.ndarray
    """(T, H), float32."""


@dataclass(frozen=True)
class Embedder:
    """Computes embeddings of rows that belong to no task."""

    model: MTDNN
    tokenizer: PreTrainedTokenizerBase
    max_seq_len: int
    layer: int = -1
    """Index of the layer: 0 is the output of the embeddings, 1 that of the first layer, -1 of the last."""
    batch_size: int = 64
    precision: Precision = "fp32"

    def __post_init__(self) -> None:
        """Check the layer.

        Raises:
            UserError: the encoder has no such layer.
        """
        depth = self.model.encoder.depth
        if not -depth - 1 <= self.layer <= depth:
            raise UserError(
                f"layer: {self.layer}; the encoder has layers 0 (the output of its embeddings) to {depth}, "
                f"or {-depth - 1} to -1 counted from the last"
            )

    def pooled(self, rows: Rows, pooling: Pooling = "mean") -> np.ndarray:
        """Return a vector for each row, (n, H) float32; the tokens of a pair are pooled together.

        Raises:
            UserError: unknown pooling, or a malformed row.
        """
        if pooling not in ("cls", "mean", "max"):
            raise UserError(
                f"unknown pooling {pooling!r}.{choices_hint(pooling, ('cls', 'mean', 'max'))}"
            )

        def forward(batch: Batch) -> Tensor:
            return pool(self._hidden(batch), batch.attention_mask, pooling)  # (B, H)

        def read(vectors: Tensor, _: Batch) -> list[np.ndarray]:
            return list(vectors.numpy())

        found = self._map(parse_texts(rows), forward, read)
        return np.stack(found) if found else np.empty((0, self.model.encoder.hidden_size), "f4")

    def tokens(self, rows: Rows) -> list[TokenEmbeddings]:
        """Return the embeddings of all tokens of each row.

        Raises:
            UserError: a malformed row.
        """

        def read(hidden: Tensor, batch: Batch) -> list[np.ndarray]:
            lengths = batch.attention_mask.sum(-1).tolist()
            return [
                row[:length].numpy().copy() for row, length in zip(hidden, lengths, strict=True)
            ]

        parsed = parse_texts(rows)
        vectors = self._map(parsed, self._hidden, read)
        places = [
            token_places(example, task, self.tokenizer, max_seq_len=self.max_seq_len)
            for task, example in parsed
        ]
        return [TokenEmbeddings(*place, own) for place, own in zip(places, vectors, strict=True)]

    def _hidden(self, batch: Batch) -> Tensor:
        return self.model.layer(self.model.embed(batch), batch, self.layer)  # (B, T, H)

    def _map(
        self,
        parsed: list[tuple[TaskDef, Example]],
        forward: Callable[[Batch], Tensor],
        read: Read[T],
    ) -> list[T]:
        """Map the rows in batches of one kind (texts, pairs, words) and keep their order."""
        if self.batch_size < 1:
            raise UserError(f"batch_size: {self.batch_size}; it must be at least 1")
        kinds: dict[str, list[int]] = {}
        for index, (task, _) in enumerate(parsed):
            kinds.setdefault(task.data_format, []).append(index)
        found: dict[int, T] = {}
        for own in kinds.values():
            encoded = EncodedRows.from_examples(
                [parsed[i][1] for i in own],
                parsed[own[0]][0],
                self.tokenizer,
                max_seq_len=self.max_seq_len,
            )
            results = map_batches(
                self.model,
                encoded,
                forward,
                read,
                batch_size=self.batch_size,
                precision=self.precision,
            )
            found |= {index: result for index, (result,) in zip(own, results, strict=True)}
        return [found[index] for index in range(len(parsed))]


def token_places(
    example: Example, task: TaskDef, tokenizer: PreTrainedTokenizerBase, *, max_seq_len: int
) -> tuple[list[str], list[Offset | None]]:
    """Return the tokens of an example and their places, tokenized as the data formats do.

    Args:
        task: the placeholder task of the example; see :func:`data_utils.text_rows.parse_texts`.
    """
    texts = [" ".join(example.texts)] if task is WORDS else list(example.texts)
    second = texts[1] if len(texts) == 2 else None
    encoding = tokenizer(
        texts[0], second, truncation="longest_first", max_length=max_seq_len
    ).encodings[0]
    begins = list(accumulate((len(word) + 1 for word in example.texts[:-1]), initial=0))
    offsets: list[Offset | None] = []
    for number, (start, end) in zip(encoding.sequence_ids, encoding.offsets, strict=True):
        if number is None:
            offsets.append(None)
            continue
        while start < end and texts[number][start].isspace():  # tokens that begin with a blank
            start += 1
        if task is WORDS:
            number = bisect_right(begins, start) - 1
            start, end = start - begins[number], end - begins[number]
        offsets.append((number, start, end))
    return encoding.tokens, offsets
