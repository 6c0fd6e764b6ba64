"""The most confident mistakes of an evaluation, as a Markdown list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from data_utils.metrics.outcome import Outcome
from data_utils.store import StoreSubset, TaskStore
from mt_dnn.inference.details.decisions import decide
from mt_dnn.inference.details.mistakes import choose_examples
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
) -> str | None:
    """Format the most confident mistakes, or the greatest errors of numbers, with their texts.

    It is a list because TensorBoard breaks the words of narrow table columns.

    Args:
        predictions: of labelled rows, in the order of the store.
        store: their rows.
        tokenizer: decodes the token ids of the rows.

    Returns:
        A Markdown list; None for masked tokens, which are neither right nor wrong.
    """
    chosen = worst(kind, predictions)
    if not chosen:
        return None if chosen is None else "no mistakes"
    columns = first_windows(store, [index for index, _ in chosen])
    items = []
    for place, (index, size) in enumerate(chosen):
        one, ids = predictions[index], columns["input_ids"][place]
        starts = columns["word_starts"][place] if "word_starts" in columns else None
        words = None if starts is None else example_words(ids, starts, tokenizer)
        note = "" if size is None else f" ({size:.1%})"
        if isinstance(one.value, float):
            note = f", error {abs(one.value - one.gold):.3g}"
        facts = f"{_difference(kind, one, words)}{note}, uid {escaped(one.uid)}"
        items.append(f"1. {escaped(example_text(ids, tokenizer))}  \n    {facts}")
    return "\n".join(items)


def worst(
    kind: TaskType, predictions: Sequence[Prediction]
) -> list[tuple[int, float | None]] | None:
    """Choose at most SHOWN mistakes, as for the file of errors of a finished run.

    Returns:
        Index of the prediction, and its confidence; None without probabilities. None instead of a list
        where predictions are neither right nor wrong: masked tokens.
    """
    outcome = kind.outcome(kind.task)
    results, decisions = decide(kind, predictions)
    if decisions is None and outcome is not Outcome.NUMBER:
        return None
    chosen = choose_examples(results, outcome, decisions)
    return [(place, size) for name, place, size in chosen if name == "confident"][:SHOWN]


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
