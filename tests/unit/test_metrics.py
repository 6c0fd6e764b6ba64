"""Scores against values worked out by hand, and what is said where they are undefined."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from data_utils.metrics import METRICS
from data_utils.registry import UserError

GOLD = [1, 1, 1, 0, 0, 0, 0, 1]
GUESS = [1, 1, 0, 0, 0, 1, 0, 0]  # 2 true and 1 false positive, 3 true and 2 false negatives


def score(name: str, gold, predicted, probabilities=None):
    return METRICS.get(name)(gold, predicted, probabilities)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ACC", 100 * 5 / 8),
        ("F1", 100 * 2 * 2 / (2 * 2 + 1 + 2)),
        ("F1MAC", 100 * (4 / 7 + 6 / 9) / 2),
        ("F1MIC", 100 * 5 / 8),
        ("MCC", 100 * (2 * 3 - 1 * 2) / np.sqrt(3 * 4 * 4 * 5)),
    ],
)
def test_by_hand(name, expected):
    assert score(name, GOLD, GUESS) == pytest.approx(expected)


def test_confusion_matrix():
    assert score("CMAT", GOLD, GUESS) == [[3, 1], [2, 2]]
    three = [[0.1, 0.8, 0.1]] * 2
    assert score("CMAT", [1, 0], [1, 1], three) == [[0, 1, 0], [0, 1, 0], [0, 0, 0]]


def test_f1_is_that_of_class_one_and_not_symmetric():
    flipped = [1 - x for x in GOLD], [1 - x for x in GUESS]
    assert score("F1", *flipped) == pytest.approx(100 * 6 / 9)


def test_correlations():
    gold, guess = [1.0, 2.0, 3.0, 10.0], [0.0, 1.0, 0.5, 3.0]
    x, y = np.array(gold) - 4, np.array(guess) - 1.125
    assert score("Pearson", gold, guess) == pytest.approx(
        100 * (x @ y) / np.sqrt((x @ x) * (y @ y))
    )
    assert score("Spearman", gold, guess) == pytest.approx(100 * (1 - 6 * 2 / (4 * 15)))
    assert score("Pearson", gold, [-x for x in gold]) == pytest.approx(-100)


def test_against_the_libraries():
    rng = np.random.default_rng(0)
    gold, guess = rng.integers(0, 3, 60).tolist(), rng.integers(0, 3, 60).tolist()
    assert score("F1MAC", gold, guess) == 100 * sk.f1_score(gold, guess, average="macro")
    assert score("MCC", gold, guess) == 100 * sk.matthews_corrcoef(gold, guess)
    x, y = rng.normal(size=(2, 60)).tolist()
    assert score("Pearson", x, y) == 100 * stats.pearsonr(x, y).statistic
    assert score("Spearman", x, y) == 100 * stats.spearmanr(x, y).statistic
    p = rng.dirichlet([1, 1, 1], 60)
    assert score("AUC", gold, guess, p.tolist()) == pytest.approx(
        100 * sk.roc_auc_score(gold, p, multi_class="ovr")
    )


def test_area_under_the_curve_is_the_share_of_pairs_in_order():
    scores = [[0.9, 0.1], [0.6, 0.4], [0.65, 0.35], [0.2, 0.8]]
    assert score("AUC", [0, 0, 1, 1], [0, 0, 0, 1], scores) == pytest.approx(75)


def test_area_over_candidates_lies_flat():
    gold, guess = [[0, 1], [1, 0, 0]], [[0, 1], [1, 0, 0]]
    scores = [[0.2, 0.8], [0.3, 0.35, 0.35]]  # 1 of 2 relevant ones beats all 3 others
    assert score("AUC", gold, guess, scores) == pytest.approx(100 * (3 + 1) / 6)


def test_candidates_count_one_by_one():
    assert score("ACC", [[0, 1], [1, 0, 0]], [[0, 1], [0, 1, 0]]) == pytest.approx(60)


def test_a_class_that_does_not_occur_is_left_out_of_the_area():
    scores = [[0.7, 0.2, 0.1], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1]]
    assert score("AUC", [0, 1, 0], [0, 1, 0], scores) == pytest.approx(100)


# Undefined cases have a defined value.


@pytest.mark.parametrize("name", ["Pearson", "Spearman"])
@pytest.mark.parametrize(
    ("gold", "guess"), [([1.0, 1.0], [1.0, 2.0]), ([1.0, 2.0], [3.0, 3.0]), ([1.0], [1.0])]
)
def test_the_correlation_of_a_constant_is_0_with_a_warning(name, gold, guess):
    with pytest.warns(UserWarning, match="undefined; reported as 0"):
        assert score(name, gold, guess) == 0.0


def test_the_area_with_one_class_is_50_with_a_warning():
    with pytest.warns(UserWarning, match="undefined; reported as 50"):
        assert score("AUC", [1, 1], [1, 0], [[0.1, 0.9], [0.6, 0.4]]) == 50.0


@pytest.mark.parametrize("name", ["MCC", "F1"])
def test_a_constant_guess_scores_0_in_silence(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert score(name, [0, 1, 1], [0, 0, 0]) == 0.0
        assert score(name, [0, 0], [0, 0]) == 0.0


def test_what_a_constant_guess_would_score_is_declared_where_undefined():
    for name in METRICS.names():
        metric = METRICS.get(name)
        if metric.constant is None:
            metric([0, 1, 1], [1, 1, 1])  # defined: no warning, no error
        else:
            with pytest.warns(UserWarning, match="undefined"):
                assert metric([1, 1], [1, 1], [[0.5, 0.5]] * 2) == metric.constant


def test_unequal_numbers_of_labels():
    with pytest.raises(ValueError, match="2 gold labels for 3 predictions"):
        score("ACC", [1, 0], [1, 0, 1])


def test_an_unknown_metric():
    with pytest.raises(UserError, match="unknown metric 'Accuracy'"):
        METRICS.get("Accuracy")


def test_a_matrix_selects_no_model():
    assert [name for name in METRICS.names() if not METRICS.get(name).is_number] == ["CMAT"]
