"""Scores of the questions that have an answer, and of those that have none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from data_utils.metrics.base import Metric, Results


def by_answer(results: Results, metrics: Mapping[str, Metric]) -> dict[str, Any] | None:
    """Return the scores of both kinds of questions, as their parts of the whole score.

    Args:
        results: answers and accepted texts; a question without accepted texts has no answer.
        metrics: name -> metric; those without statistics are left out.

    Returns:
        ``with`` and ``without``: ``examples`` and the score of each metric. None if all questions have
        an answer.
    """
    answered = np.array([any([gold] if isinstance(gold, str) else gold) for gold in results.gold])
    if answered.all():
        return None
    found: dict[str, Any] = {}
    for key, own in (("with", answered), ("without", ~answered)):
        if own.any():
            found[key] = {"examples": int(own.sum())}
            for name, metric in metrics.items():
                if metric.statistics is not None:
                    statistics = metric.statistics.of(results)[own]
                    found[key][name] = float(metric.statistics.score(statistics.sum(axis=0)))
    return found
