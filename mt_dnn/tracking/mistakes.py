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
    texts = example_texts(store, tokenizer, [index for index, _ in chosen])
    items = []
    for (index, size), text in zip(chosen, texts, strict=True):
        one = predictions[index]
        gold, value = _compared(kind, one)
        note = "" if size is None else f", error {size:.3g}" if numeric else f" ({size:.1%})"
        facts = f"gold **{gold}**, predicted **{value}**{note}, uid {escaped(one.uid)}"
        items.append(f"1. {escaped(text)}  \n    {facts}")
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


def _compared(kind: TaskType, one: Prediction) -> tuple[str, str]:
    """Gold label and prediction as text; of lists, only the entries that differ."""
    gold, value = kind.in_words(one.gold), kind.in_words(one.value)
    if isinstance(value, float):
        return f"{gold:.4g}", f"{value:.4g}"
    if isinstance(value, list) and isinstance(gold, list) and len(value) == len(gold):
        wrong = [i for i, (g, v) in enumerate(zip(gold, value, strict=True)) if g != v]
        parts = [[f"{i + 1}: {own[i]}" for i in wrong[:WORDS_SHOWN]] for own in (gold, value)]
        more = ["…"] if len(wrong) > WORDS_SHOWN else []
        return escaped(", ".join(parts[0] + more)), escaped(", ".join(parts[1] + more))
    return escaped(str(gold)[:LONGEST]), escaped(str(value)[:LONGEST])


def example_texts(
    store: TaskStore | StoreSubset, tokenizer: PreTrainedTokenizerBase, indices: Sequence[int]
) -> list[str]:
    """Decode rows of a store; of a row that was cut into windows, the first window.

    Segments between special tokens are joined by ``‖``, candidates by ``/``.

    Args:
        indices: numbers of the rows, not of their windows.
    """
    if store.windows is not None:
        firsts = np.flatnonzero(np.asarray(store.windows) == 0)
        indices = [int(firsts[index]) for index in indices]
    return [_decoded(ids, tokenizer)[:LONGEST] for ids in store.take(indices)["input_ids"]]


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
