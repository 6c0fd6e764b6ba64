"""Which predictions are right, and how confident the model was of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from data_utils.metrics.answers import exact_matches
from data_utils.metrics.base import Results
from data_utils.metrics.outcome import Outcome

if TYPE_CHECKING:
    from mt_dnn.task_types import Prediction, TaskType

Confidence = float | list[float] | None
"""Probability of a prediction; one for each decision of a list or set; None without probabilities."""


@dataclass(frozen=True)
class Decisions:
    """Whether the decisions of one example are right, and their probabilities."""

    right: list[bool]
    confidence: list[float]
    """As many as ``right``, or none. 0: the model did not decide, as for a word beyond the maximum length."""

    def taken(self) -> list[tuple[bool, float]]:
        """Return the decisions that the model took, with their probabilities; none without probabilities."""
        if not self.confidence:
            return []
        return [pair for pair in zip(self.right, self.confidence, strict=True) if pair[1] != 0]


def right_examples(results: Results, outcome: Outcome | None) -> np.ndarray | None:
    """Return which examples are right as a whole, (N,) bool; None for numbers and masked tokens.

    Texts are right if they equal an accepted text after SQuAD's normalisation. A list or a set is right
    if it equals the gold one.
    """
    if outcome in (Outcome.NUMBER, Outcome.TOKENS):
        return None
    if outcome is Outcome.TEXT:
        return np.array(exact_matches(results), dtype=bool)
    pairs = zip(results.gold, results.predicted, strict=True)
    return np.array([gold == predicted for gold, predicted in pairs], dtype=bool)


def example_decisions(
    results: Results, outcome: Outcome | None, confidences: Sequence[Confidence]
) -> list[Decisions] | None:
    """Return the decisions of each example; None where :func:`right_examples` is None.

    Args:
        confidences: of each example, as the task type gives them.
    """
    right = right_examples(results, outcome)
    if right is None:
        return None
    rows = zip(results.gold, results.predicted, right.tolist(), confidences, strict=True)
    return [_decisions(*row) for row in rows]


def decide(
    kind: TaskType, predictions: Sequence[Prediction]
) -> tuple[Results, list[Decisions] | None]:
    """Return the predictions of labelled rows as metrics take them, and their decisions.

    The decisions are those of :func:`example_decisions`.
    """
    results = Results(
        gold=[one.gold for one in predictions],
        predicted=[one.value for one in predictions],
        scores=[one.scores for one in predictions],
        labels=kind.task.labels,
        uids=[one.uid for one in predictions],
        options=kind.task.options,
    )
    confidences = [kind.confidence(one.value, one.scores) for one in predictions]
    return results, example_decisions(results, kind.outcome(kind.task), confidences)


def _decisions(gold: Any, predicted: Any, right: bool, confidence: Confidence) -> Decisions:
    if not isinstance(confidence, list):
        return Decisions([right], [] if confidence is None else [confidence])
    if isinstance(gold, set):
        return Decisions(
            [(i in gold) == (i in predicted) for i in range(len(confidence))], confidence
        )
    return Decisions([g == p for g, p in zip(gold, predicted, strict=True)], confidence)
