"""How well probabilities rank, how honest they are, and what they cost."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from data_utils.errors import UserError
from data_utils.registries import METRICS
from mt_dnn.inference import evaluate
from mt_dnn.task_types import Prediction
from mt_dnn.task_types.sequence_labeling import SequenceLabeling
from tests.support.scores import reported, score
from tests.support.tasks import make_task

# AUC: the share of (positive, negative) pairs that the scores put in order.


def test_area_under_the_curve_is_the_share_of_pairs_in_order():
    scores = [[0.9, 0.1], [0.6, 0.4], [0.65, 0.35], [0.2, 0.8]]
    assert score("AUC", [0, 0, 1, 1], [0, 0, 0, 1], scores) == pytest.approx(75)


def test_area_over_candidates_lies_flat():
    gold, guess = [[0, 1], [1, 0, 0]], [[0, 1], [1, 0, 0]]
    scores = [[0.2, 0.8], [0.3, 0.35, 0.35]]  # 1 of 2 relevant ones beats all 3 others
    assert score("AUC", gold, guess, scores) == pytest.approx(100 * (3 + 1) / 6)


def test_the_area_with_one_class_is_50():
    assert reported("AUC", "one class only", [1, 1], [1, 0], [[0.1, 0.9], [0.6, 0.4]]) == 50.0


@pytest.mark.parametrize("scores", [[[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]], [0.7, 0.5]])
def test_three_classes_have_no_area(scores):
    with pytest.raises(UserError, match="AUC does not fit the task: it takes two classes, not 3"):
        score("AUC", [2, 0], [2, 0], scores)


# ECE (Guo et al. 2017), 15 bins.


def test_calibration_error_by_hand():
    """Bins (8/15, 9/15] and (13/15, 14/15]: confidence 0.55, 0.57, right once; 0.9, right twice."""
    scores = [[0.55, 0.45], [0.43, 0.57], [0.9, 0.1], [0.1, 0.9]]
    expected = 2 / 4 * abs(1 / 2 - 0.56) + 2 / 4 * abs(1 - 0.9)
    assert score("ECE", [0, 0, 0, 1], [0, 1, 0, 1], scores) == pytest.approx(100 * expected)


def test_neighbouring_bins_do_not_cancel():
    """An edge belongs to the bin below: 0.6 is apart from 0.61, and with 0.59."""
    right, wrong = [0.6, 0.4], [0.39, 0.61]
    assert score("ECE", [0, 0], [0, 1], [right, wrong]) == pytest.approx(100 * (0.4 + 0.61) / 2)
    together = [[0.59, 0.41], [0.4, 0.6]]
    assert score("ECE", [0, 0], [0, 1], together) == pytest.approx(100 * abs(0.5 - 0.595))


def test_sure_and_right_is_perfect_and_sure_and_wrong_the_worst():
    sure = [[1.0, 0.0, 0.0]] * 3
    assert score("ECE", [0, 0, 0], [0, 0, 0], sure) == 0.0
    assert score("ECE", [1, 2, 1], [0, 0, 0], sure) == 100.0
    third = [[1 / 3] * 3] * 3
    assert score("ECE", [0, 1, 2], [0, 0, 0], third) == pytest.approx(0.0)


def test_calibration_error_against_scikit_learns_bins():
    rng = np.random.default_rng(1)
    p = rng.dirichlet([1, 1, 1], 400)
    gold = np.array([rng.choice(3, p=row) for row in p])  # as honest as can be: bins differ in sign
    predicted = p.argmax(1)
    accuracy, confidence = calibration_curve(gold == predicted, p.max(1), n_bins=15)
    counts = np.histogram(p.max(1), bins=15, range=(0, 1))[0]
    counts = counts[counts > 0]
    expected = 100 * (counts / 400) @ np.abs(accuracy - confidence)
    assert score("ECE", gold, predicted, p) == pytest.approx(expected)


def test_a_candidate_is_sure_of_its_no_too():
    scores = [[0.1, 0.9], [0.8, 0.2]]  # 0.9 right, 0.9 right; 0.8 wrong, 0.8 wrong
    gold, predicted = [[0, 1], [0, 1]], [[0, 1], [1, 0]]
    assert score("ECE", gold, predicted, scores) == pytest.approx(100 * (0.1 + 0.8) / 2)


def test_words_carry_the_probability_of_their_label():
    gold, predicted, scores = [[2, 0], [1]], [[2, 1], [1]], [[0.9, 0.9], [0.9]]
    assert score("ECE", gold, predicted, scores) == pytest.approx(100 * (0.9 - 2 / 3))


def test_scores_that_are_no_probabilities():
    with pytest.raises(UserError, match="metric ECE does not fit the task: it takes probabilities"):
        score("ECE", [0, 1], [0, 1], [[2.0, -1.0], [0.5, 0.5]])


def test_a_score_for_each_word_and_not_for_the_sentence():
    with pytest.raises(UserError, match=r"scores of shape \(2,\) for labels of shape \(3,\)"):
        score("ECE", [[1, 0], [1]], [[1, 0], [1]], [0.5, 0.5])


@pytest.mark.parametrize(("name", "value"), [("AUC", 50.0), ("ECE", 100.0)])
def test_scores_that_are_not_finite(name, value):
    scores = [[math.nan, math.nan], [0.5, 0.5]]
    assert reported(name, "scores that are not finite", [0, 1], [0, 1], scores) == value


def test_a_word_beyond_the_maximum_length_has_no_calibration():
    gold, predicted = [[0, 1, 0], [2]], [[0, 2, 0], [2]]
    whole = score("ECE", [[0, 1], [2]], [[0, 2], [2]], [[0.9, 0.8], [0.6]])
    assert score("ECE", gold, predicted, [[0.9, 0.8, 0.0], [0.6]]) == pytest.approx(whole)
    of = "no word within the maximum length"
    assert reported("ECE", of, [[2]], [[0]], [[0.0]]) == 100.0


# Perplexity.


def test_perplexity_weighs_tokens_alike():
    """Three tokens of probability 1/2 and one of 1/4: not the mean of two sentences."""
    scores = [(3 * math.log(2), 3), (math.log(4), 1)]
    assert score("Perplexity", [None, None], [None, None], scores) == pytest.approx(2 ** (5 / 4))


def test_guessing_among_all_words_alike_costs_their_number():
    assert score("Perplexity", ["x"], ["y"], [(5 * math.log(30522), 5)]) == pytest.approx(30522)


@pytest.mark.parametrize(
    ("of", "pair"),
    [
        ("no predicted tokens", (0.0, 0)),
        ("likelihoods that are not finite", (math.nan, 2)),
        ("likelihoods that are not finite", (math.inf, 2)),
    ],
)
def test_perplexity_of_nothing_known_is_infinite(of, pair):
    assert reported("Perplexity", of, [0], [0], [pair]) == math.inf


def test_a_perplexity_beyond_floats_is_infinite():
    assert METRICS.get("Perplexity")([0], [0], [(1e6, 1)]) == math.inf


def test_words_of_two_labels_have_the_probability_of_the_predicted_label():
    task = make_task("SequenceLabeling", labels=("O", "X"), n_class=2, metrics=("ECE",))
    words = [Prediction("a", [0, 1, 0], [0.9, 0.8, 0.0], [0, 0, 0])]  # the last one was cut off
    found, _ = evaluate.score(SequenceLabeling(task), words)
    assert found["ECE"] == pytest.approx(100 * (abs(1 - 0.9) + abs(0 - 0.8)) / 2)
