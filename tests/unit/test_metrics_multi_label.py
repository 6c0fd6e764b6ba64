"""Sets of labels against scikit-learn's multi-label scores, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from tests.support.scores import reported, score

LABELS = ("politics", "sport", "science", "travel")
GOLD = [{0}, {1, 2}, set(), {0, 2}, {2}]
GUESS = [{0}, {1}, set(), {2}, {0, 2}]  # agreed on 0: 1, 1: 1, 2: 2; named 0: 4, 1: 2, 2: 5


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ACC", 100 * 2 / 5),
        ("F1MIC", 100 * 2 * 4 / 11),
        ("F1", 100 * 2 * 4 / 11),
        ("F1MAC", 100 * (2 / 4 + 2 / 2 + 4 / 5 + 0) / 4),
    ],
)
def test_by_hand(name, expected):
    assert score(name, GOLD, GUESS, labels=LABELS) == pytest.approx(expected)


def test_against_the_library():
    rng = np.random.default_rng(0)
    gold, guess = rng.random((2, 50, 4)) < 0.4
    as_sets = [[set(np.flatnonzero(row).tolist()) for row in side] for side in (gold, guess)]
    p = rng.random((50, 4))
    for name, average in (("F1MIC", "micro"), ("F1MAC", "macro")):
        assert score(name, *as_sets) == pytest.approx(
            100 * sk.f1_score(gold, guess, average=average)
        )
    assert score("ACC", *as_sets) == pytest.approx(100 * sk.accuracy_score(gold, guess))
    assert score("AUC", *as_sets, p.tolist()) == pytest.approx(
        100 * sk.roc_auc_score(gold, p, average="macro")
    )
    assert score("CMAT", *as_sets) == sk.multilabel_confusion_matrix(gold, guess).tolist()
    assert score("MCC", *as_sets) == pytest.approx(
        100 * sk.matthews_corrcoef(gold.ravel(), guess.ravel())
    )


def test_a_label_that_neither_side_names_counts_0_in_the_macro_average():
    gold, guess = np.array([[1, 0, 0], [0, 1, 0]]), np.array([[1, 0, 0], [1, 1, 0]])
    expected = 100 * sk.f1_score(gold, guess, average="macro", zero_division=0)
    sets = [{0}, {1}], [{0}, {0, 1}]
    assert score("F1MAC", *sets, labels=("a", "b", "c")) == pytest.approx(expected)
    assert score("F1MAC", *sets, [[0.9, 0.1, 0.1], [0.9, 0.9, 0.1]]) == pytest.approx(expected)


def test_one_label_alone():
    gold, guess = [{0}, set(), {0}], [{0}, {0}, set()]
    assert score("F1MIC", gold, guess) == score("F1MAC", gold, guess) == pytest.approx(50)
    assert score("AUC", gold, guess, [[0.9], [0.6], [0.4]]) == pytest.approx(50)


def test_the_area_is_that_of_the_labels_that_can_be_told_apart():
    scores = [[0.9, 0.2, 0.5], [0.1, 0.3, 0.5], [0.5, 0.4, 0.5]]  # 1 is always there, 2 never
    assert score("AUC", [{0, 1}, {1}, {1}], [set()] * 3, scores) == pytest.approx(100)


def test_calibration_counts_every_label_of_every_example():
    """Six answers as sure as 0.9: a false yes, two right ones, three times a right no."""
    gold, guess, scores = [{0}, {1}], [{0, 1}, {1}], [[0.9, 0.9, 0.1], [0.1, 0.9, 0.1]]
    assert score("ECE", gold, guess, scores) == pytest.approx(100 * (0.9 - 5 / 6))


def test_sets_that_are_all_empty():
    empty = [set(), set()]
    assert score("ACC", empty, empty, labels=LABELS) == 100.0
    for name in ("F1", "F1MIC", "F1MAC"):
        assert reported(name, "label sets that are all empty", empty, empty, labels=LABELS) == 0.0
    assert reported("AUC", "one class only", empty, empty, [[0.1, 0.2]] * 2) == 50.0
    assert reported("MCC", "one class only", empty, empty) == 0.0
