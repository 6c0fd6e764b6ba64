"""Examples to read: the most confident mistakes, and the least certain predictions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from data_utils.metrics.base import Results
from data_utils.metrics.outcome import Outcome
from mt_dnn.inference.details.decisions import Decisions

EACH = 50
"""Greatest number of examples of each kind."""

Chosen = tuple[str, int, float | None]
"""Kind, ``confident`` or ``uncertain``; position of the example; confidence."""


def choose_examples(
    results: Results, outcome: Outcome | None, decisions: Sequence[Decisions] | None
) -> list[Chosen]:
    """Choose the examples of an errors file.

    The confidence of a mistake is the highest one among its wrong decisions, and the certainty of an
    example the lowest one among the decisions that the model took. Numbers have no confidence: the greatest errors
    come first. Wrong predictions without probabilities stay in order.

    Args:
        decisions: from :func:`mt_dnn.inference.details.decisions.example_decisions`.

    Returns:
        The confident mistakes, the most confident first, then the least certain of the other examples,
        the least certain first; at most EACH of both.
    """
    if outcome is Outcome.NUMBER:
        gold, predicted = results.numbers()
        error = np.abs(predicted - gold)
        order = np.argsort(-error, kind="stable")[:EACH].tolist()
        return [("confident", i, None) for i in order if error[i] > 0]
    if decisions is None:
        return []
    mistakes = [(_wrong(one), i) for i, one in enumerate(decisions) if not all(one.right)]
    mistakes.sort(key=lambda pair: (pair[0] is None, -(pair[0] or 0.0)))
    chosen: list[Chosen] = [("confident", i, confidence) for confidence, i in mistakes[:EACH]]
    known = {i for _, i, _ in chosen}
    doubtful = [
        (min(confidence for _, confidence in taken), i)
        for i, one in enumerate(decisions)
        if i not in known and (taken := one.taken())
    ]
    doubtful.sort()
    return chosen + [("uncertain", i, confidence) for confidence, i in doubtful[:EACH]]


def _wrong(decisions: Decisions) -> float | None:
    """Return the highest confidence of a wrong decision; None without probabilities."""
    if not decisions.confidence:
        return None
    pairs = zip(decisions.right, decisions.confidence, strict=True)
    return max(confidence for right, confidence in pairs if not right)
