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
        allowed: (B, T) bool, the tokens that a span may begin and end with.

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
    names = ("passage_at", "passage", "char_starts", "char_ends")
    windows = list(zip(*(batch.extras[name] for name in names), strict=True))
    allowed = torch.zeros(logits.shape[:2], dtype=torch.bool)
    for row, (at, passage, starts, ends) in zip(allowed, windows, strict=True):
        # SentencePiece has tokens that are a blank alone: no answer, and none begins with one.
        has_text = [passage[i:j].strip() != "" for i, j in zip(starts, ends, strict=True)]
        row[at : at + len(starts)] = torch.tensor(has_text, dtype=torch.bool)
    spans = best_spans(logits, allowed, n_best=n_best, max_answer_len=max_answer_len)
    return [
        distinct(
            # Some tokenizers count the blank before a word as part of it.
            (passage[starts[i - at] : ends[j - at]].strip(), score)
            for score, i, j in zip(*found, strict=True)
            if score > float("-inf")
        )
        for (at, passage, starts, ends), *found in zip(
            windows, *(part.tolist() for part in spans), strict=True
        )
    ]


def distinct(answers: Iterable[tuple[str, float]]) -> Found:
    """Each text with the best of its scores."""
    best: dict[str, float] = {}
    for text, score in answers:
        best[text] = max(score, best.get(text, score))
    return sorted(best.items(), key=lambda answer: -answer[1])
