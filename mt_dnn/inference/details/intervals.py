"""Bootstrap intervals of scores, and of the difference between two models' scores.

The examples of a data set are drawn with replacement; an interval covers the middle 95% of the resamples'
scores (Efron and Tibshirani 1993, section 13.3). It covers the choice of the evaluated examples, and not that
of the training seed.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from data_utils.metrics.base import Metric, Results, Undefined

RESAMPLES = 1000
SEED = 0
"""All intervals use the same draws, so that they depend on the predictions alone."""
TAILS = (0.025, 0.975)
CHUNK = 4_000_000
"""Greatest number of draws in memory."""

Interval = tuple[float, float]


def with_interval(score: float, interval: Sequence[float] | None) -> str:
    """Format a score with its interval; without one it has two digits.

    Example:
        >>> with_interval(89.18, (87.06, 91.02))
        '89.2 [87.1, 91.0]'
        >>> with_interval(89.18, None)
        '89.18'
    """
    if interval is None:
        return f"{score:.2f}"
    low, high = interval
    return f"{score:.1f} [{low:.1f}, {high:.1f}]"


def score_intervals(
    metrics: Mapping[str, Metric], results: Results, groups: Sequence[Hashable] | None = None
) -> dict[str, Interval]:
    """Return the 95% intervals of those metrics that declare statistics.

    Args:
        metrics: name -> metric.
        results: gold labels and predictions of one data set.
        groups: group of each example, for examples that are not independent, such as questions on one
            passage. Groups are drawn as a whole, unless a metric has clusters of its own.

    Returns:
        Metric -> (low, high); without metrics whose score is undefined.
    """
    found = {}
    for name, metric in metrics.items():
        scores = resampled_scores(metric, results, groups)
        if scores is not None:
            found[name] = interval(scores)
    return found


def difference(
    metric: Metric, one: Results, other: Results, groups: Sequence[Hashable] | None = None
) -> Interval | None:
    """Return the 95% interval of the score of ``other`` minus that of ``one``, by a paired bootstrap.

    Both are scored on the same resamples. None where a score has no interval.

    Args:
        one: results of the first model.
        other: results of the second model on the same examples, in the same order.
        groups: as in :func:`score_intervals`.
    """
    scores = [resampled_scores(metric, results, groups) for results in (one, other)]
    if scores[0] is None or scores[1] is None:
        return None
    return interval(scores[1] - scores[0])


def interval(values: np.ndarray) -> Interval:
    """Return the percentiles 2.5 and 97.5."""
    low, high = np.quantile(values, TAILS)
    return float(low), float(high)


def resampled_scores(
    metric: Metric, results: Results, groups: Sequence[Hashable] | None = None
) -> np.ndarray | None:
    """Return the score of each resample, (RESAMPLES,).

    None if the metric declares no statistics, is undefined for the data, needs scores that there are not, or
    there are fewer than two independent examples.
    """
    declared = metric.statistics
    if declared is None or not len(results.gold) or not metric.has_scores(results):
        return None
    try:
        statistics = declared.of(results)
        if declared.clusters is not None:
            groups = declared.clusters(results)
    except Undefined:
        return None
    statistics = _summed(statistics, groups)
    if statistics.shape[0] < 2 or np.isnan(declared.score(statistics.sum(axis=0))):
        return None
    parts = [counts @ statistics for counts in _counts(statistics.shape[0])]
    scores = declared.score(np.concatenate(parts))  # of (RESAMPLES, S)
    return np.where(np.isnan(scores), metric.undefined, scores)


def draws(units: int) -> Iterator[np.ndarray]:
    """Yield the indices of all resamples in chunks, (C, units).

    Args:
        units: number of examples, or of clusters.
    """
    rng = np.random.default_rng(SEED)
    size = max(1, CHUNK // units)
    for start in range(0, RESAMPLES, size):
        yield rng.integers(0, units, (min(size, RESAMPLES - start), units))


def _counts(units: int) -> Iterator[np.ndarray]:
    """Yield how often each resample contains each unit, in chunks (C, units)."""
    for indices in draws(units):
        places = indices + units * np.arange(len(indices))[:, None]
        counts = np.bincount(places.ravel(), minlength=len(indices) * units)
        yield counts.reshape(len(indices), units).astype(float)


def _summed(statistics: Any, groups: Sequence[Hashable] | None) -> Any:
    """Sum the statistics (N, S) over each group, in the order of their first example: (G, S)."""
    if groups is None:
        return statistics
    from scipy.sparse import coo_array

    numbers: dict[Hashable, int] = {}
    codes = [numbers.setdefault(group, len(numbers)) for group in groups]
    ones, places = np.ones(len(codes)), (codes, np.arange(len(codes)))
    return coo_array((ones, places), shape=(len(numbers), len(codes))).tocsr() @ statistics
