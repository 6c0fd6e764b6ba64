"""The likeliest spans of a window, and the text of each."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from data_utils.collator import Batch

Found = list[tuple[str, float]]
"""Answers with their scores, the best first; no text twice, and none empty."""


def best_spans(
    logits: Tensor, allowed: Tensor, *, n_best: int, max_answer_len: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The spans i..j with the highest logit_start[i] + logit_end[j], exactly.

    Only i <= j < i + max_answer_len come into question, so that the search is over a band of
    (T, max_answer_len) and not over (T, T).

    Args:
        logits: (B, T, 2), of start and end.
        allowed: (B, T) bool, the tokens that a span may have: neighbours of one another.

    Returns:
        Scores, first and last positions (inclusive), each (B, k), k <= n_best, best first; a score of
        -inf where there are fewer spans.
    """
    width = min(max_answer_len, logits.shape[1])
    start, end = logits.masked_fill(~allowed.unsqueeze(-1), float("-inf")).unbind(-1)  # (B, T)
    ends = F.pad(end, (0, width - 1), value=float("-inf")).unfold(1, width, 1)  # (B, T, width)
    scores = (start.unsqueeze(-1) + ends).flatten(1)
    best, index = scores.topk(min(n_best, scores.shape[1]), dim=-1)
    first = index // width
    return best, first, first + index % width


def best_texts(logits: Tensor, batch: Batch, *, n_best: int, max_answer_len: int) -> list[Found]:
    """Of each window, out of its part of the document; empty where it has no token of that.

    Args:
        logits: (B, T, 2).
        batch: of data format MRC, on the CPU.
    """
    extras = batch.extras
    begin = torch.tensor([int(at) for at in extras["passage_at"]]).unsqueeze(-1)  # (B, 1)
    count = torch.tensor([len(starts) for starts in extras["char_starts"]]).unsqueeze(-1)
    place = torch.arange(logits.shape[1])
    allowed = (place >= begin) & (place < begin + count)
    found = best_spans(logits, allowed, n_best=n_best, max_answer_len=max_answer_len)
    scores, first, last = (part.tolist() for part in (found[0], found[1] - begin, found[2] - begin))
    return [
        distinct(
            # Some tokenizers count the blank before a word as part of it.
            (passage[starts[i] : ends[j]].strip(), score)
            for score, i, j in zip(*spans, strict=True)
            if score > float("-inf")
        )
        for passage, starts, ends, *spans in zip(
            extras["passage"],
            extras["char_starts"],
            extras["char_ends"],
            *(scores, first, last),
            strict=True,
        )
    ]


def distinct(answers: Iterable[tuple[str, float]]) -> Found:
    """Each text with the best of its scores."""
    best: dict[str, float] = {}
    for text, score in answers:
        if text:
            best[text] = max(score, best.get(text, score))
    return sorted(best.items(), key=lambda answer: -answer[1])
