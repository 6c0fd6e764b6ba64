"""Statistics: a score as a function of sums over examples.

A bootstrap resamples the examples of a data set thousands of times. If a score depends on the examples only
through sums, such as counts of right decisions, a resample needs new sums and not a new pass over the
predictions.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # base.py holds a Statistics for each metric
    from data_utils.metrics.base import Results


@dataclass(frozen=True)
class Statistics:
    """What a metric declares so that its score can be resampled.

    ``score(of(results).sum(axis=0))`` equals the metric, and so it does for every resample of the examples.

    Example::

        def squared_errors(results):
            gold, predicted = results.numbers()
            return np.column_stack([(gold - predicted) ** 2, np.ones(len(gold))])

        @METRICS.register("RMSE")
        @metric(
            greater_is_better=False,
            statistics=Statistics(squared_errors, lambda sums: np.sqrt(sums[..., 0] / sums[..., 1])),
        )
        def root_mean_squared_error(results): ...
    """

    of: Callable[[Results], Any]
    """Statistics of each example: (N, S) floats, a numpy array or a sparse array of scipy."""
    score: Callable[[np.ndarray], np.ndarray]
    """Converts sums (..., S) to scores (...); NaN where the metric is undefined."""
    clusters: Callable[[Results], Sequence[Hashable]] | None = None
    """Cluster of each example, for examples that must be resampled together; None: each is its own."""


def mean_of(values: Callable[[Results], Sequence[float]]) -> Statistics:
    """Return the statistics of the mean, in percent, of a value per example.

    Args:
        values: returns the value of each example, between 0 and 1.
    """

    def of(results: Results) -> np.ndarray:
        own = np.asarray(values(results), dtype=float)
        return np.column_stack([own, np.ones(len(own))])

    return Statistics(of, lambda sums: percent(sums[..., 0], sums[..., 1]))


def percent(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return 100 part / whole; NaN where ``whole`` is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(whole > 0, 100.0 * part / whole, np.nan)
