"""Batches without a store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from data_utils.collator import Batch


def make_batch(
    lengths: Sequence[int] = (4, 4, 4),
    *,
    width: int | None = None,
    ids: tuple[int, int] | None = None,
    seed: int = 0,
    first: Sequence[int] | None = None,
    candidates: Sequence[int] | None = None,
    labels: Any = None,
    **fields: Any,
) -> Batch:
    """Right-padded sequences, an example each, of the task ``t``.

    Args:
        lengths: tokens of every sequence.
        width: columns; defaults to the longest sequence.
        ids: tokens are drawn from this half-open range by ``seed``; None: all are 1. Padding is 0.
        first: tokens of every first sentence, which makes ``token_type_ids``; None: there are none.
        candidates: how many of the sequences, in order, are one example's candidates.
        labels: anything that ``torch.tensor`` takes.
        fields: of :class:`Batch`, in place of those made here.
    """
    positions = torch.arange(width or max(lengths))
    mask = (positions < torch.tensor(lengths)[:, None]).long()  # (N, T)
    tokens = torch.ones_like(mask)
    if ids is not None:
        tokens = torch.randint(*ids, mask.shape, generator=torch.Generator().manual_seed(seed))
    examples = len(lengths if candidates is None else candidates)
    made: dict[str, Any] = {
        "task": "t",
        "uids": [f"u{i}" for i in range(examples)],
        "input_ids": tokens * mask,
        "attention_mask": mask,
    }
    if first is not None:
        made["token_type_ids"] = (positions >= torch.tensor(first)[:, None]).long() * mask
    if candidates is not None:
        made["candidate_mask"] = (
            torch.arange(max(candidates)) < torch.tensor(candidates)[:, None]
        )  # (B, K)
    if labels is not None:
        made["labels"] = torch.as_tensor(labels)
    return Batch(**made | fields)
