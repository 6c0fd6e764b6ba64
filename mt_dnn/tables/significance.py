"""Paired tests between two rows of a table, and their correction for several rows."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mt_dnn.tables.definition import Repeat

TESTS = {
    "paired_t": "paired t-test",
    "wilcoxon": "Wilcoxon signed-rank test",
    "corrected": "corrected resampled t-test (Nadeau and Bengio 2003)",
}
"""Names of the tests; ``corrected`` is ``paired_t`` with folds."""
FEWEST = 3
"""Smallest number of pairs for a significance test; the spread of two pairs means little."""


@dataclass(frozen=True)
class Versus:
    """Comparison of a cell with the reference row's cell, over the repeats that both have."""

    difference: float
    """Mean over repeats of this row's score minus the reference row's."""
    p: float | None
    """Two-sided p value; None for fewer than three pairs, or if all differences are equal."""
    n: int
    """Number of pairs."""


def compare(
    scores: dict[Repeat, float],
    reference: dict[Repeat, float],
    *,
    test: str,
    folds: int | None = None,
) -> Versus | None:
    """Compare two rows by a paired test over their common repeats; None without any.

    Runs with the same seed and fold form a pair, because they share the training subset, the order of
    the batches, the initial weights of the heads, and the held-out fold.

    Args:
        test: ``paired_t`` or ``wilcoxon``.
        folds: number of folds; ``paired_t`` is then :func:`corrected_t`.
    """
    pairs = sorted(scores.keys() & reference.keys())
    if not pairs:
        return None
    differences = [scores[pair] - reference[pair] for pair in pairs]
    p = None
    # Equal differences make the t statistic undefined; zero differences make the ranks undefined.
    if len(pairs) >= FEWEST and max(differences) - min(differences) > 1e-12:
        from scipy import stats  # imported here because it takes a second, too long for --help

        if folds is not None:
            p = corrected_t(differences, folds=folds)
        elif test == "wilcoxon":
            p = float(stats.wilcoxon(differences).pvalue)
        else:
            ours, theirs = zip(*((scores[pair], reference[pair]) for pair in pairs), strict=True)
            p = float(stats.ttest_rel(ours, theirs).pvalue)
    return Versus(statistics.fmean(differences), p, len(pairs))


def corrected_t(differences: Sequence[float], *, folds: int) -> float:
    """Compute the two-sided p value of the corrected resampled t-test.

    With n differences of mean m and sample variance s^2, and k folds::

        t = m / sqrt((1 / n + n_test / n_train) s^2),    n_test / n_train = 1 / (k - 1)

    and n - 1 degrees of freedom. The training sets of two folds overlap, so the differences are not
    independent, and the variance s^2 / n of the plain paired test is too small.

    Source: Nadeau and Bengio 2003 (Inference for the generalization error, Machine Learning 52).
    """
    from scipy import stats

    n = len(differences)
    variance = (1 / n + 1 / (folds - 1)) * statistics.variance(differences)
    t = statistics.fmean(differences) / math.sqrt(variance)
    return float(2 * stats.t.sf(abs(t), n - 1))


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """Adjust the p values of a family of tests by Holm's step-down method.

    With the m values in ascending order, the k-th adjusted value (k = 1 .. m) is the largest of
    ``(m - i + 1) p_i`` over i <= k, at most 1. It controls the probability of any false rejection.

    Args:
        p: p values by name.

    Source: Holm 1979 (A simple sequentially rejective multiple test procedure).

    Example:
        >>> holm({"a": 0.01, "b": 0.04, "c": 0.03})
        {'a': 0.03, 'c': 0.06, 'b': 0.06}
    """
    adjusted: dict[str, float] = {}
    largest = 0.0
    for rank, name in enumerate(sorted(p, key=p.__getitem__)):
        largest = max(largest, (len(p) - rank) * p[name])
        adjusted[name] = min(largest, 1.0)
    return adjusted
