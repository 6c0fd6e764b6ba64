"""The most confident mistakes of an evaluation, as a Markdown list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from data_utils.store import StoreSubset, TaskStore
from mt_dnn.task_types import Prediction, TaskType
from mt_dnn.tracking.values import escaped

SHOWN = 10
"""Greatest number of mistakes in a list."""
WORDS_SHOWN = 6
"""Greatest number of wrong words of an example."""
LONGEST = 300
"""Greatest number of characters of a text."""


def mistakes_list(
    kind: TaskType,
    predictions: Sequence[Prediction],
    store: TaskStore | StoreSubset,
    tokenizer: PreTrainedTokenizerBase,
) -> str:
    """Format the most confident mistakes, or the greatest errors of numbers, with their texts.

    It is a list because TensorBoard breaks the words of narrow table columns.

    Args:
        predictions: of labelled rows, in the order of the store.
        store: their rows.
        tokenizer: decodes the token ids of the rows.
    """
    numeric = bool(predictions) and isinstance(predictions[0].value, float)
    chosen = worst(predictions)
    if not chosen:
        return "no mistakes"
    columns = first_windows(store, [index for index, _ in chosen])
    items = []
    for place, (index, size) in enumerate(chosen):
        one, ids = predictions[index], columns["input_ids"][place]
        starts = columns["word_starts"][place] if "word_starts" in columns else None
        words = None if starts is None else example_words(ids, starts, tokenizer)
        note = "" if size is None else f", error {size:.3g}" if numeric else f" ({size:.1%})"
        facts = f"{_difference(kind, one, words)}{note}, uid {escaped(one.uid)}"
        items.append(f"1. {escaped(example_text(ids, tokenizer))}  \n    {facts}")
    return "\n".join(items)


def worst(predictions: Sequence[Prediction]) -> list[tuple[int, float | None]]:
    """Choose at most SHOWN mistakes: those of highest confidence, or greatest absolute error.

    The confidence is the probability of the prediction; of lists and sets, that of their most probable
    wrong decision. Mistakes without probabilities come last, in order.

    Returns:
        Index of the prediction, and its confidence or error; None without probabilities.
    """
    found = [(index, _size(one)) for index, one in enumerate(predictions) if _is_wrong(one)]
    found.sort(key=lambda pair: (pair[1] is None, -(pair[1] or 0.0)))
    return found[:SHOWN]


def _is_wrong(one: Prediction) -> bool:
    """Whether a prediction differs from the label, or from all accepted texts."""
    if isinstance(one.gold, list) and not isinstance(one.value, list):
        return one.value not in one.gold
    return one.value != one.gold


def _size(one: Prediction) -> float | None:
    """Confidence or error of a wrong prediction; None without probabilities."""
    gold, value, scores = one.gold, one.value, one.scores
    if isinstance(value, float):
        return abs(value - gold)
    if not isinstance(scores, list) or not all(isinstance(score, float) for score in scores):
        return None
    if isinstance(value, set):
        return max(scores[c] if c in value else 1 - scores[c] for c in gold ^ value)
    if isinstance(value, list) and len(value) == len(scores) == len(gold):
        return max(s for g, v, s in zip(gold, value, scores, strict=True) if g != v)
    return scores[value] if isinstance(value, int) else None


def _difference(kind: TaskType, one: Prediction, words: Sequence[str] | None) -> str:
    """Gold label and prediction as Markdown; of lists, only the entries that differ."""
    gold, value = kind.in_words(one.gold), kind.in_words(one.value)
    if isinstance(value, float):
        return f"gold **{gold:.4g}**, predicted **{value:.4g}**"
    if isinstance(value, list) and isinstance(gold, list) and len(value) == len(gold):
        wrong = [i for i, (g, v) in enumerate(zip(gold, value, strict=True)) if g != v]
        names = [str(i + 1) for i in wrong] if words is None else [words[i] for i in wrong]
        parts = [
            f"{escaped(name)}: gold **{escaped(str(gold[i]))}**, "
            f"predicted **{escaped(str(value[i]))}**"
            for i, name in zip(wrong[:WORDS_SHOWN], names, strict=False)
        ]
        return "; ".join([*parts, "…"] if len(wrong) > WORDS_SHOWN else parts)
    labels = (escaped(str(label)[:LONGEST]) for label in (gold, value))
    return "gold **{}**, predicted **{}**".format(*labels)


def first_windows(store: TaskStore | StoreSubset, rows: Sequence[int]) -> dict[str, list]:
    """Columns of the first window of each row; an uncut row is its own window."""
    if store.windows is not None:
        firsts = np.flatnonzero(np.asarray(store.windows) == 0)
        rows = [int(firsts[row]) for row in rows]
    return store.take(rows)


def example_text(ids: Any, tokenizer: PreTrainedTokenizerBase) -> str:
    """Decode an example: segments are joined by ``‖``, candidates by ``/``."""
    return _decoded(ids, tokenizer)[:LONGEST]


def example_words(
    ids: Sequence[int], starts: Sequence[int], tokenizer: PreTrainedTokenizerBase
) -> list[str]:
    """Decode the words of an example.

    Args:
        starts: position of the first token of each word; -1 for a word that was cut off.
    """
    found = []
    for number, start in enumerate(starts):
        end = next((s for s in starts[number + 1 :] if s > start), len(ids))
        tokens = [] if start < 0 else list(ids[start:end])
        found.append(str(tokenizer.decode(tokens, skip_special_tokens=True)).strip() or "…")
    return found


def _decoded(ids: Any, tokenizer: PreTrainedTokenizerBase) -> str:
    if len(ids) and not np.isscalar(ids[0]):
        return " / ".join(_decoded(one, tokenizer) for one in ids)
    ends = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id, tokenizer.mask_token_id}
    segments: list[list[int]] = [[]]
    for token in map(int, ids):
        if token in ends:
            segments.append([])
        else:
            segments[-1].append(token)
    return " ‖ ".join(str(tokenizer.decode(part)) for part in segments if part)
