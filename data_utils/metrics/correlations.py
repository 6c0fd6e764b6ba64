"""Metrics of numbers: Pearson and Spearman correlation."""

from __future__ import annotations

import math
import warnings

from data_utils.metrics.base import Results, Undefined, metric
from data_utils.metrics.outcome import Outcome


@metric(fits=(Outcome.NUMBER,), constant=0.0)
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
