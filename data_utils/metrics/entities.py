"""Metrics of named entities, as in CoNLL's evaluation script.

A predicted entity is right if its type, start and end are right. The task's option ``tag_scheme`` names
the scheme of its labels (data_utils/metrics/tag_scheme.py); by default the labels decide.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from data_utils.errors import UserError
from data_utils.metrics.base import Function, Results, Undefined, metric
from data_utils.metrics.outcome import Outcome
from data_utils.metrics.statistics import Statistics, mean_of, percent
from data_utils.metrics.tag_scheme import (
    DETECTED,
    Entities,
    check_tag_scheme,
    entities,
    tag_scheme,
)


def _of_entities(
    statistics: Statistics, constant: float | None = None
) -> Callable[[Function], Function]:
    """Declare what the metrics of this module have in common."""
    return metric(
        needs=("labels",),
        fits=(Outcome.WORDS,),
        check=check_tag_scheme,
        constant=constant,
        statistics=statistics,
    )


def _by_sentence(results: Results) -> np.ndarray:
    """Return the entities of each sentence in gold, in predictions, and in both: (N, 3)."""
    rows = [(len(g), len(p), len(g & p)) for g, p in sentence_entities(results)]
    return np.array(rows, dtype=float).reshape(-1, 3)


def _f1_by_sentence(results: Results) -> list[float]:
    return [
        2 * len(gold & predicted) / (len(gold) + len(predicted)) if gold or predicted else 1.0
        for gold, predicted in sentence_entities(results)
    ]


F1 = Statistics(_by_sentence, lambda n: percent(2 * n[..., 2], n[..., 0] + n[..., 1]))
PRECISION = Statistics(_by_sentence, lambda n: percent(n[..., 2], n[..., 1]))
RECALL = Statistics(_by_sentence, lambda n: percent(n[..., 2], n[..., 0]))


@_of_entities(F1)
def entity_f1(results: Results) -> float:
    """Micro F1 of the entities of all sentences and types.

    Undefined if neither gold nor predictions have an entity.
    """
    gold, predicted, agreed = _counts(results)
    return _percentage(2 * agreed, gold + predicted, "sentences without entities")


@_of_entities(PRECISION, constant=0.0)
def entity_precision(results: Results) -> float:
    """Share of predicted entities that are right; undefined if none are predicted."""
    _, predicted, agreed = _counts(results)
    return _percentage(agreed, predicted, "predictions without entities")


@_of_entities(RECALL)
def entity_recall(results: Results) -> float:
    """Share of gold entities that are predicted; undefined if there are none."""
    gold, _, agreed = _counts(results)
    return _percentage(agreed, gold, "sentences without entities")


@_of_entities(mean_of(_f1_by_sentence))
def entity_f1_by_sentence(results: Results) -> float:
    """F1 of each sentence, averaged; 1 for a sentence correctly predicted without entities.

    MT-DNN uses it for CLUE tasks whose sentences may have no entity.
    """
    scores = _f1_by_sentence(results)
    return _percentage(sum(scores), len(scores), "no examples")


def _percentage(part: float, whole: int, undefined: str) -> float:
    """Return 100 part / whole; raise Undefined with the given message if ``whole`` is 0."""
    if not whole:
        raise Undefined(undefined)
    return 100.0 * part / whole


def _counts(results: Results) -> tuple[int, int, int]:
    """Return the numbers of entities in gold, in predictions, and in both."""
    sentences = sentence_entities(results)
    return (
        sum(len(gold) for gold, _ in sentences),
        sum(len(predicted) for _, predicted in sentences),
        sum(len(gold & predicted) for gold, predicted in sentences),
    )


def sentence_entities(results: Results) -> list[tuple[Entities, Entities]]:
    """Return the gold and predicted entities of each sentence.

    Raises:
        UserError: the labels are not lists with one label per word, or have no known tag scheme.
    """
    for side in (results.gold, results.predicted):
        if not all(isinstance(row, (list, tuple)) for row in side):
            raise UserError("it takes one label per word of a sentence, not one per example")
    results.check_lengths()
    labels = results.labels
    scheme = tag_scheme(labels, results.options.get("tag_scheme", DETECTED))
    gold, predicted = (
        [entities([labels[i] for i in row], scheme) for row in side]
        for side in (results.gold, results.predicted)
    )
    return list(zip(gold, predicted, strict=True))
