"""Order examples by length so that their labels hardly depend on the place in the order."""

from __future__ import annotations

import numpy as np

STRATA = 3
"""Number of strata. More of them raise the padding, because the longest examples are of few labels."""
MIN_EXAMPLES = 200
"""A task with fewer examples is not stratified: ranks in its strata would be too coarse."""
TOLERANCE = 0.2
"""Tolerated excess of the variance of a batch's mean label over that of random batches."""
SHARE = 0.65
"""Share of the rank within the stratum in a key; the rest is the rank among all examples."""


def label_strata(lengths: np.ndarray, labels: np.ndarray | None, *, batch_size: int) -> np.ndarray:
    """Divide examples into strata of similar labels, if labels and lengths are correlated.

    Batches of one length have nearly one label where the two are correlated. With eta^2, the share of the
    variance of the length that the strata explain, the variance of the mean label of B examples of equal
    length is about 1 + (B - 1) eta^2 times that of B random examples.

    Args:
        lengths: (N,), the length of each example.
        labels: (N,), one number (floating point) or class id (integer) per example, or None.
        batch_size: B.

    Returns:
        (N,) int, the stratum of each example, from 0; all are 0 where batches by length alone exceed the
        variance of random ones by at most TOLERANCE.
    """
    n = len(lengths)
    if labels is None or n < MIN_EXAMPLES:
        return np.zeros(n, int)
    values, ids = np.unique(labels, return_inverse=True)
    ranks = lengths.argsort(kind="stable").argsort(kind="stable")
    counts = np.bincount(ids)
    # Numbers are divided by size, classes by their mean length.
    is_number = np.issubdtype(labels.dtype, np.floating)
    order = (values if is_number else np.bincount(ids, ranks) / counts).argsort(kind="stable")
    middle = counts[order].cumsum() - counts[order] / 2  # mean place of the examples of each value
    stratum = np.empty(len(values), int)
    stratum[order] = (middle * STRATA / n).astype(int)
    strata = np.unique(stratum[ids], return_inverse=True)[1]
    sizes = np.bincount(strata)
    between = (sizes / n * (np.bincount(strata, ranks) / sizes - ranks.mean()) ** 2).sum()
    excess = (batch_size - 1) * between / ranks.var()
    return strata if excess > TOLERANCE else np.zeros(n, int)


def length_keys(lengths: np.ndarray, strata: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Compute sort keys: mainly the rank of each example's length within its stratum.

    Neighbours in the order of the keys have similar lengths, and every stretch of it has a similar share
    of each stratum. The order of equal lengths is random.

    Args:
        lengths: (N,), the length of each example.
        strata: (N,) int, from :func:`label_strata`.
        rng: draws the order of equal lengths.

    Returns:
        (N,) float64, between 0 and 1.
    """
    # The same order of equal lengths in both ranks: the sum of two independent ranks would gather in the
    # middle of each length, at another place for each stratum.
    tie = rng.random(len(lengths))
    within, overall = (_ranks(lengths, own, tie) for own in (strata, np.zeros_like(strata)))
    return SHARE * within + (1 - SHARE) * overall


def _ranks(lengths: np.ndarray, strata: np.ndarray, tie: np.ndarray) -> np.ndarray:
    """Rank of each length within its stratum, divided by the size of the stratum, (N,)."""
    order = np.lexsort((tie, lengths, strata))  # by stratum, then by length
    sizes = np.bincount(strata)
    starts = np.repeat(sizes.cumsum() - sizes, sizes)
    ranks = np.empty(len(lengths))
    ranks[order] = np.arange(len(lengths)) - starts + 0.5
    return ranks / sizes[strata]
