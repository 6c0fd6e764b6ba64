"""Metrics of named entities, as in CoNLL's evaluation script.

A predicted entity is right if its type, start and end are right. Labels are parsed leniently, as in
seqeval's default mode: an I- label that does not continue an entity of its type begins a new one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from data_utils.errors import UserError
from data_utils.metrics.base import Results, Undefined, metric

Entities = set[tuple[str, int, int]]
"""(type, first word, last word) of one sentence."""


@metric(needs=("labels",))
def entity_f1(results: Results) -> float:
    """Micro F1 of the entities of all sentences and types.

    Undefined if neither gold nor predictions have an entity.
    """
    gold, predicted, agreed = _counts(results)
    return _percentage(2 * agreed, gold + predicted, "sentences without entities")


@metric(needs=("labels",), constant=0.0)
def entity_precision(results: Results) -> float:
    """Share of predicted entities that are right; undefined if none are predicted."""
    _, predicted, agreed = _counts(results)
    return _percentage(agreed, predicted, "predictions without entities")


@metric(needs=("labels",))
def entity_recall(results: Results) -> float:
    """Share of gold entities that are predicted; undefined if there are none."""
    gold, _, agreed = _counts(results)
    return _percentage(agreed, gold, "sentences without entities")


@metric(needs=("labels",))
def entity_f1_by_sentence(results: Results) -> float:
    """F1 of each sentence, averaged; 1 for a sentence correctly predicted without entities.

    MT-DNN uses it for CLUE tasks whose sentences may have no entity.
    """
    scores = [
        2 * len(gold & predicted) / (len(gold) + len(predicted)) if gold or predicted else 1.0
        for gold, predicted in _sentences(results)
    ]
    return _percentage(sum(scores), len(scores), "no examples")


def _percentage(part: float, whole: int, undefined: str) -> float:
    """Return 100 part / whole; raise Undefined with the given message if ``whole`` is 0."""
    if not whole:
        raise Undefined(undefined)
    return 100.0 * part / whole


def _counts(results: Results) -> tuple[int, int, int]:
    """Return the numbers of entities in gold, in predictions, and in both."""
    sentences = _sentences(results)
    return (
        sum(len(gold) for gold, _ in sentences),
        sum(len(predicted) for _, predicted in sentences),
        sum(len(gold & predicted) for gold, predicted in sentences),
    )


def _sentences(results: Results) -> list[tuple[Entities, Entities]]:
    """Return the gold and predicted entities of each sentence.

    Raises:
        UserError: the labels are not lists with one label per word.
    """
    for side in (results.gold, results.predicted):
        if not all(isinstance(row, (list, tuple)) for row in side):
            raise UserError("it takes one label per word of a sentence, not one per example")
    results.check_lengths()
    return [
        (_entities(gold, results.labels), _entities(predicted, results.labels))
        for gold, predicted in zip(results.gold, results.predicted, strict=True)
    ]


def _entities(ids: Sequence[Any], labels: Sequence[str]) -> Entities:
    """Return the entities that the label ids of a sentence encode."""
    from seqeval.metrics.sequence_labeling import get_entities

    return set(get_entities([labels[i] for i in ids]))
