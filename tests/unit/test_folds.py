"""The partition into folds: complete, even, stratified, and a function of its arguments."""

from __future__ import annotations

import numpy as np
import pytest

from data_utils.errors import UserError
from data_utils.folds import fold_of_rows

CLASSES = {
    "balanced": np.arange(40) % 2,
    "skewed": np.array([0] * 50 + [1] * 7 + [2] * 3),
    "one each": np.arange(11),
    "a single class": np.zeros(9, np.int64),
}


@pytest.mark.parametrize("folds", [2, 3, 5])
@pytest.mark.parametrize("name", CLASSES)
def test_folds_and_classes_are_spread_as_evenly_as_possible(name, folds):
    classes = CLASSES[name]
    fold = fold_of_rows(len(classes), folds=folds, seed=1, classes=classes)
    assert set(fold) == set(range(1, folds + 1))
    assert np.ptp(np.bincount(fold)[1:]) <= 1
    for label in set(classes):
        assert np.ptp(np.bincount(fold[classes == label], minlength=folds + 1)[1:]) <= 1


@pytest.mark.parametrize(("count", "folds"), [(10, 5), (11, 5), (5, 5), (17, 2)])
def test_without_classes_sizes_differ_by_at_most_one(count, folds):
    fold = fold_of_rows(count, folds=folds, seed=1)
    assert len(fold) == count
    assert np.ptp(np.bincount(fold, minlength=folds + 1)[1:]) <= 1


def test_the_partition_is_a_function_of_rows_folds_and_seed():
    classes = CLASSES["skewed"]

    def partition(seed: int, folds: int = 5) -> list[int]:
        return fold_of_rows(len(classes), folds=folds, seed=seed, classes=classes).tolist()

    np.random.seed(0)
    first = partition(1)
    np.random.seed(1)
    assert partition(1) == first
    assert partition(2) != first
    assert partition(1, folds=4) != first


def test_rows_are_shuffled():
    """Neighbours in a file are often alike."""
    fold = fold_of_rows(100, folds=2, seed=1)
    assert fold.tolist() != [1, 2] * 50
    assert 20 < (fold[:50] == 1).sum() < 30


def test_fewer_rows_than_folds():
    with pytest.raises(UserError, match="4 rows cannot be divided into 5 folds; use at most 4"):
        fold_of_rows(4, folds=5, seed=1)
