"""McNemar's test of two classifiers on the same examples."""

from __future__ import annotations

from typing import NamedTuple

FEW = 25
"""Below this number of discordant pairs the test is exact."""


class McNemar(NamedTuple):
    """Result of the test."""

    first: int
    """Examples that only the first model has right."""
    second: int
    """Examples that only the second model has right."""
    p: float
    """Two-sided p-value of the hypothesis that both models are equally often right."""
    exact: bool
    """Whether p is that of the binomial distribution, else of chi-squared."""


def mcnemar(first: int, second: int) -> McNemar:
    """Test whether two models are equally often right (McNemar 1947, 10.1007/BF02295996).

    Only discordant pairs count: examples that one model alone has right. The exact test is binomial with
    probability 1/2. With FEW pairs or more, (|first - second| - 1)^2 / (first + second) is compared with
    chi-squared of one degree of freedom; the 1 is the continuity correction.

    Args:
        first: examples that only the first model has right.
        second: examples that only the second model has right.

    Example:
        >>> round(mcnemar(1, 5).p, 5)  # 2 (1 + 6) / 2^6
        0.21875
    """
    from scipy import stats

    count = first + second
    if count == 0:
        return McNemar(0, 0, 1.0, True)
    if count < FEW:
        return McNemar(first, second, float(stats.binomtest(first, count).pvalue), True)
    statistic = max(abs(first - second) - 1, 0) ** 2 / count
    return McNemar(first, second, float(stats.chi2.sf(statistic, 1)), False)
