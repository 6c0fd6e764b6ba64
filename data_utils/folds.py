"""Partition of a split's rows into folds, for cross-validation."""

from __future__ import annotations

import numpy as np

from data_utils.errors import UserError


def fold_of_rows(
    count: int, *, folds: int, seed: int, classes: np.ndarray | None = None
) -> np.ndarray:
    """Assign each row to a fold.

    The sizes of two folds differ by at most one. With ``classes``, the folds are stratified: the
    numbers of a class in two folds also differ by at most one.

    Args:
        count: number of rows.
        folds: number of folds, k.
        seed: another seed gives another partition.
        classes: the class ids of the rows (count,); None for a random partition.

    Returns:
        The numbers of the rows' folds (count,), from 1 to k. They depend on the arguments only.

    Raises:
        UserError: there are fewer rows than folds.

    Example::

        fold = fold_of_rows(10, folds=5, seed=1)
        held_out, train = np.flatnonzero(fold == 2), np.flatnonzero(fold != 2)
    """
    if count < folds:
        raise UserError(f"{count} rows cannot be divided into {folds} folds; use at most {count}")
    # The fourth word distinguishes this stream from those of the sampler, which have three.
    order = np.random.default_rng([seed, folds, 0, 1]).permutation(count)
    if classes is not None:
        order = order[np.argsort(classes[order], kind="stable")]
    fold = np.empty(count, np.int64)
    fold[order] = np.arange(count) % folds + 1  # deal the rows in turn, one class after the other
    return fold
