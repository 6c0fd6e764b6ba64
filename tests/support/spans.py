"""Windows of a document, logits over them, and the answer that a span type finds."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from data_utils.collator import Batch
from mt_dnn.task_types import Prediction, TaskType
from tests.support.batches import make_batch
from tests.support.tasks import make_kind

QUESTION = 2
"""[CLS] and a token of the question stand before the document."""


def make_span(task_type: str = "Span", **fields: Any) -> TaskType:
    return make_kind(task_type, **{"where": "f:1", **fields})


def windows(
    *passages: str, labels: Any = None, answers: list[list[str]] | None = None, room: int = 0
) -> Batch:
    """Windows [CLS] ? PASSAGE [SEP]; a token for every word, ``room`` more than the longest needs."""
    words = [passage.split() for passage in passages]
    lengths = [QUESTION + len(own) + 1 for own in words]
    starts = [np.cumsum([0, *(len(word) + 1 for word in own[:-1])])[: len(own)] for own in words]
    extras: dict[str, list[Any]] = {
        "window": list(range(len(passages))),
        "passage": list(passages),
        "passage_at": [QUESTION] * len(passages),
        "char_starts": starts,
        "char_ends": [
            at + np.array([len(word) for word in own], dtype=int)
            for at, own in zip(starts, words, strict=True)
        ],
    }
    if answers is not None:
        extras["answers"] = answers
    uids = ["q"] * len(passages)
    return make_batch(lengths, width=max(lengths) + room, labels=labels, uids=uids, extras=extras)


def peaks(batch: Batch, *spans: tuple[int, int, float], null: float = 0.0) -> Tensor:
    """Logits of -10 but for the first and last word of one span in each window, and for [CLS]."""
    logits = torch.full((*batch.input_ids.shape, 2), -10.0)
    logits[:, 0] = null / 2
    for row, (first, last, total) in zip(logits, spans, strict=True):
        row[QUESTION + first, 0] = row[QUESTION + last, 1] = total / 2
    return logits


def answer(kind: TaskType, logits: Tensor, batch: Batch) -> Prediction:
    return kind.merge(kind.decode(logits, batch))
