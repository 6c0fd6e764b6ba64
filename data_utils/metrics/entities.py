"""Scores of labelled words by the entities that they spell, as CoNLL's script cuts them.

An entity is right where type, start and end are. Its cutting is lenient, as in seqeval's default
mode: an I- that continues nothing of its type begins an entity.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from data_utils.errors import UserError
from data_utils.metrics.base import Results, Undefined, metric

Entities = set[tuple[str, int, int]]
"""(type, first word, last word) of one sentence."""


@metric("SeqEval", needs=("labels",))
def entity_f1(results: Results) -> float:
    """F1 of the entities of all sentences together, micro over types.

    Undefined where neither side has an entity.
    """
    gold, predicted, agreed = _counts(results)
    return _share(2 * agreed, gold + predicted, "sentences without entities")


@metric("SeqEvalP", needs=("labels",), constant=0.0)
def entity_precision(results: Results) -> float:
    """Share of the predicted entities that is right; undefined where none is predicted."""
    _, predicted, agreed = _counts(results)
    return _share(agreed, predicted, "predictions without entities")


@metric("SeqEvalR", needs=("labels",))
def entity_recall(results: Results) -> float:
    """Share of the gold entities that is found; undefined where there is none."""
    gold, _, agreed = _counts(results)
    return _share(agreed, gold, "sentences without entities")


@metric("SeqEvalList", needs=("labels",))
def entity_f1_by_sentence(results: Results) -> float:
    """Mean over sentences of each one's F1, 1 where it rightly has no entity.

    MT-DNN's score for CLUE tasks that list what a sentence names, if anything.
    """
    scores = [
        2 * len(gold & predicted) / (len(gold) + len(predicted)) if gold or predicted else 1.0
        for gold, predicted in _sentences(results)
    ]
    return _share(sum(scores), len(scores), "no examples")


def _share(part: float, whole: int, undefined: str) -> float:
    if not whole:
        raise Undefined(undefined)
    return 100.0 * part / whole


def _counts(results: Results) -> tuple[int, int, int]:
    """How many entities there are in gold, in predictions, and in both."""
    sentences = _sentences(results)
    return (
        sum(len(gold) for gold, _ in sentences),
        sum(len(predicted) for _, predicted in sentences),
        sum(len(gold & predicted) for gold, predicted in sentences),
    )


def _sentences(results: Results) -> list[tuple[Entities, Entities]]:
    """Gold and predicted entities of each sentence."""
    for side in (results.gold, results.predicted):
        if not all(isinstance(row, (list, tuple)) for row in side):
            raise UserError("it takes one label per word of a sentence, not one per example")
    results.check_lengths()
    return [
        (_entities(gold, results.labels), _entities(predicted, results.labels))
        for gold, predicted in zip(results.gold, results.predicted, strict=True)
    ]


def _entities(ids: Sequence[Any], labels: Sequence[str]) -> Entities:
    from seqeval.metrics.sequence_labeling import get_entities

    return set(get_entities([labels[i] for i in ids]))
