"""Metrics of numbers: Pearson and Spearman correlation."""

from __future__ import annotations

import math
import warnings

import numpy as np

from data_utils.metrics.base import Results, Undefined, metric
from data_utils.metrics.outcome import Outcome
from data_utils.metrics.statistics import Statistics

ROUNDING = 1e-13
"""A variance below this share of the mean square is that of equal values."""


def _moments(results: Results) -> np.ndarray:
    """Return 1, x, y, x^2, y^2 and x y of each example, (N, 6), x and y being standardized.

    Correlation does not depend on shift and scale. Standardized values keep the precision of the sums.
    """
    x, y = results.numbers()
    with np.errstate(invalid="ignore", divide="ignore"):
        x, y = ((side - side.mean()) / side.std() for side in (x, y))
    return np.column_stack([np.ones(len(x)), x, y, x * x, y * y, x * y])


def _pearson_of(sums: np.ndarray) -> np.ndarray:
    """Return the correlation from the sums of :func:`_moments`; NaN for constant values."""
    n, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        variances = [n * square - mean**2 for square, mean in ((xx, x), (yy, y))]
        varies = (variances[0] > ROUNDING * n * xx) & (variances[1] > ROUNDING * n * yy)
        value = 100.0 * (n * xy - x * y) / np.sqrt(variances[0] * variances[1])
    return np.where(varies, np.clip(value, -100.0, 100.0), np.nan)


@metric(fits=(Outcome.NUMBER,), constant=0.0, statistics=Statistics(_moments, _pearson_of))
def pearson(results: Results) -> float:
    """Pearson correlation of the values; undefined if gold or predictions are constant."""
    return _correlation("pearsonr", results)


@metric(fits=(Outcome.NUMBER,), constant=0.0)
def spearman(results: Results) -> float:
    """Spearman correlation; ties get their mean rank. Undefined if either side is constant."""
    return _correlation("spearmanr", results)


def _correlation(name: str, results: Results) -> float:
    from scipy import stats

    gold, predicted = results.numbers()
    if len(gold) < 2:
        raise Undefined("fewer than two examples")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # for constant values, which are detected below
        value = float(getattr(stats, name)(gold, predicted).statistic)
    if not math.isfinite(value):
        raise Undefined("constant values")
    return 100.0 * value
