"""Metrics of ranked candidates: the share of lists with a right first candidate, and MRR.

An entry is a list of candidates. Lists without a right candidate are left out: no order of them is better
than another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from data_utils.errors import UserError
from data_utils.metrics.base import Results, Undefined, metric
from data_utils.metrics.outcome import Outcome
from data_utils.metrics.statistics import Statistics, percent


def _first_right(results: Results) -> list[float]:
    """Return 1 where the first candidate of a list is right, 0 where not, NaN without a right one."""
    return [
        float(any(g and p for g, p in zip(gold, chosen, strict=True))) if any(gold) else np.nan
        for gold, chosen in _lists(results, results.predicted)
    ]


def _reciprocal_ranks(results: Results) -> list[float]:
    """Return 1 / rank of the first right candidate of each list; NaN without a right one.

    Of equal scores, the earlier candidate ranks first, as in the prediction.
    """
    assert results.scores is not None
    found = []
    for gold, scores in _lists(results, results.scores):
        right = np.asarray(gold, dtype=bool)[np.argsort(-np.asarray(scores), kind="stable")]
        found.append(1.0 / (1 + int(right.argmax())) if right.any() else np.nan)
    return found


def _lists(results: Results, others: Sequence[Any]) -> list[tuple[list, list]]:
    """Return the labels of each list beside its predictions or scores.

    Raises:
        UserError: an entry is not a list, or they differ in length.
    """
    pairs = list(zip(results.gold, others, strict=True))
    for gold, other in pairs:
        if not all(isinstance(side, (list, tuple, np.ndarray)) for side in (gold, other)):
            raise UserError(f"it takes lists of candidates, not {gold!r:.60}")
        if len(gold) != len(other):
            raise UserError(f"{len(other)} scores for {len(gold)} candidates")
    return pairs


def _sums(values: list[float]) -> np.ndarray:
    """Return value and 1 of each list, (N, 2); zeros for lists that are left out."""
    own = np.asarray(values, dtype=float)
    counted = ~np.isnan(own)
    return np.column_stack([np.where(counted, own, 0.0), counted])


def _mean(values: list[float]) -> float:
    total, count = _sums(values).sum(axis=0)
    if not count:
        raise Undefined("lists without a right candidate")
    return 100.0 * float(total / count)


def _score(sums: np.ndarray) -> np.ndarray:
    return percent(sums[..., 0], sums[..., 1])


@metric(
    fits=(Outcome.CANDIDATES,),
    statistics=Statistics(lambda results: _sums(_first_right(results)), _score),
)
def first_right(results: Results) -> float:
    """Share of lists whose best-scored candidate is right (precision at 1)."""
    return _mean(_first_right(results))


@metric(
    needs=("scores",),
    fits=(Outcome.CANDIDATES,),
    statistics=Statistics(lambda results: _sums(_reciprocal_ranks(results)), _score),
)
def mean_reciprocal_rank(results: Results) -> float:
    """Mean over lists of 1 / rank of the best-scored right candidate (MRR; TREC-8, Voorhees 1999)."""
    return _mean(_reciprocal_ranks(results))
