"""Decode span logits: the best spans of a window and their texts."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from data_utils.collator import Batch

Found = list[tuple[str, float]]
"""(text, score) of answers, best first. Texts are distinct and not empty."""


def best_spans(
    logits: Tensor, allowed: Tensor, *, n_best: int, max_answer_len: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Find the spans i..j with the highest logit_start[i] + logit_end[j].

    The search is exact. It covers only i <= j < i + max_answer_len, a band of (T, max_answer_len)
    instead of (T, T).

    Args:
        logits: (B, T, 2), logits of start and end.
        allowed: (B, T) bool, the tokens at which a span may begin and end.
        n_best: greatest number of spans per window.
        max_answer_len: greatest length of a span, in tokens.

    Returns:
        Scores, first positions and last positions (inclusive), each (B, k) with k <= n_best, best
        first. If a window has fewer than k spans, the remaining scores are -inf.
    """
    width = min(max_answer_len, logits.shape[1])
    start, end = logits.masked_fill(~allowed.unsqueeze(-1), float("-inf")).unbind(-1)  # (B, T)
    ends = F.pad(end, (0, width - 1), value=float("-inf")).unfold(1, width, 1)  # (B, T, width)
    scores = (start.unsqueeze(-1) + ends).flatten(1)
    best, index = scores.topk(min(n_best, scores.shape[1]), dim=-1)
    first = index // width
    return best, first, first + index % width


def best_texts(logits: Tensor, batch: Batch, *, n_best: int, max_answer_len: int) -> list[Found]:
    """Return the best answers of each window, from its part of the document.

    Args:
        logits: (B, T, 2), on the CPU.
        batch: a batch of data format MRC, on the CPU.
        n_best: number of spans to consider in each window.
        max_answer_len: greatest length of an answer, in tokens.

    Returns:
        The distinct answers of each window; none for a window without a token of the document.
    """
    names = ("passage_at", "passage", "char_starts", "char_ends")
    windows = list(zip(*(batch.extras[name] for name in names), strict=True))
    allowed = torch.zeros(logits.shape[:2], dtype=torch.bool)
    for row, (at, passage, starts, ends) in zip(allowed, windows, strict=True):
        # SentencePiece has tokens that are a single space. An answer must not begin or end there.
        has_text = [passage[i:j].strip() != "" for i, j in zip(starts, ends, strict=True)]
        row[at : at + len(starts)] = torch.tensor(has_text, dtype=torch.bool)
    spans = best_spans(logits, allowed, n_best=n_best, max_answer_len=max_answer_len)
    return [
        distinct(
            # Some tokenizers include the space before a word in its token.
            (passage[starts[i - at] : ends[j - at]].strip(), score)
            for score, i, j in zip(*found, strict=True)
            if score > float("-inf")
        )
        for (at, passage, starts, ends), *found in zip(
            windows, *(part.tolist() for part in spans), strict=True
        )
    ]


def distinct(answers: Iterable[tuple[str, float]]) -> Found:
    """Keep the best score of each text and sort by score, best first."""
    best: dict[str, float] = {}
    for text, score in answers:
        best[text] = max(score, best.get(text, score))
    return sorted(best.items(), key=lambda answer: -answer[1])
