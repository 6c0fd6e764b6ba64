"""Scores of classes and numbers against values worked out by hand, and what holds of every metric."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from data_utils.errors import UserError
from data_utils.metrics import Metric, Undefined
from data_utils.registries import METRICS
from tests.support.scores import reported, score

GOLD = [1, 1, 1, 0, 0, 0, 0, 1]
GUESS = [1, 1, 0, 0, 0, 1, 0, 0]  # 2 true and 1 false positive, 3 true and 2 false negatives


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
    assert score("CMAT", [[1, 0], [1]], [[1, 1], [1]]) == [[0, 1], [0, 2]]


def test_the_confusion_matrix_has_a_place_for_every_class():
    expected = [[0, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert score("CMAT", [1, 0], [1, 1], [[0.1, 0.8, 0.1]] * 2) == expected
    assert score("CMAT", [1, 0], [1, 1], labels=("a", "b", "c")) == expected
    assert score("CMAT", [[1], [0]], [[1], [1]], labels=("a", "b", "c")) == expected


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
    for name, average in (("F1MAC", "macro"), ("F1MIC", "micro")):
        assert score(name, gold, guess) == pytest.approx(
            100 * sk.f1_score(gold, guess, average=average)
        )
    assert score("F1", gold, guess) == pytest.approx(
        100 * sk.f1_score(gold, guess, labels=[1], average="macro")
    )
    assert score("MCC", gold, guess) == 100 * sk.matthews_corrcoef(gold, guess)
    assert score("CMAT", gold, guess) == sk.confusion_matrix(gold, guess).tolist()
    x, y = rng.normal(size=(2, 60)).tolist()
    assert score("Pearson", x, y) == 100 * stats.pearsonr(x, y).statistic
    assert score("Spearman", x, y) == 100 * stats.spearmanr(x, y).statistic


def test_f1_macro_leaves_out_a_class_that_neither_side_names():
    assert score("F1MAC", [0, 2], [0, 0], labels=("a", "b", "c")) == pytest.approx(
        100 * (2 / 3 + 0) / 2
    )


def test_candidates_and_words_count_one_by_one():
    assert score("ACC", [[0, 1], [1, 0, 0]], [[0, 1], [0, 1, 0]]) == pytest.approx(60)
    assert score("F1MAC", [[2], [], [0, 1]], [[2], [], [0, 2]]) == pytest.approx(
        100 * (1 + 0 + 2 / 3) / 3
    )


# Undefined cases have a defined value and say so.


@pytest.mark.parametrize("name", ["Pearson", "Spearman"])
@pytest.mark.parametrize(
    ("of", "gold", "guess"),
    [
        ("constant values", [1.0, 1.0], [1.0, 2.0]),
        ("constant values", [1.0, 2.0], [3.0, 3.0]),
        ("fewer than two examples", [1.0], [1.0]),
        ("no examples", [], []),
        ("numbers that are not finite", [1.0, 2.0, 3.0], [1.0, float("nan"), 3.0]),
        ("numbers that are not finite", [1.0, 2.0, 3.0], [1.0, float("inf"), 3.0]),
    ],
)
def test_an_undefined_correlation_is_0(name, of, gold, guess):
    assert reported(name, of, gold, guess) == 0.0


@pytest.mark.parametrize("gold", [[0, 0, 0], [0, 1, 1]])
def test_the_correlation_of_a_class_that_is_always_predicted_is_0(gold):
    assert reported("MCC", "one class only", gold, [0, 0, 0]) == 0.0


def test_f1_with_nothing_positive_is_0():
    assert reported("F1", "labels and predictions without class 1", [0, 0], [0, 0]) == 0.0


@pytest.mark.parametrize("name", ["F1", "F1MAC", "F1MIC", "ACC"])
def test_a_constant_guess_of_class_0_is_scored_in_silence(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert score(name, [1, 1], [0, 0]) == 0.0


@pytest.mark.parametrize("name", METRICS.names())
def test_no_examples(name):
    metric = METRICS.get(name)
    with pytest.warns(UserWarning, match=rf"^{name} of .* is undefined; reported as "):
        assert metric([], [], [], labels=("O", "B-X"), uids=()) == metric.undefined


def test_sentences_without_words():
    assert reported("ACC", "no examples", [[], []], [[], []]) == 0.0
    assert reported("CMAT", "no examples", [[], []], [[], []]) == ()


def test_what_a_constant_guess_would_score_is_declared_where_undefined():
    constants = {n: METRICS.get(n).constant for n in METRICS.names()}
    assert {n: value for n, value in constants.items() if value is not None} == {
        **{"MCC": 0.0, "Pearson": 0.0, "Spearman": 0.0, "SeqEvalP": 0.0},
        "AUC": 50.0,
    }
    for name, constant in constants.items():
        if constant is not None:
            assert constant == METRICS.get(name).undefined


def test_a_metric_of_ones_own():
    def third(results):
        if len(results.gold) < 3:
            raise Undefined("fewer than three")
        return float(results.uids[2])

    metric = Metric(third, "Third", needs=("uids",), undefined=-1.0)
    assert metric([0] * 3, [0] * 3, uids=["1", "2", "3"]) == 3.0
    with pytest.warns(UserWarning, match="Third of fewer than three is undefined; reported as -1$"):
        assert metric([0], [0], uids=["1"]) == -1.0


# What does not fit is said.


def test_unequal_numbers_of_labels():
    with pytest.raises(ValueError, match="2 gold labels for 3 predictions"):
        score("ACC", [1, 0], [1, 0, 1])
    with pytest.raises(ValueError, match="example 0: 1 gold labels for 3 predictions"):
        score("ACC", [[1], [0, 0, 1]], [[1, 1, 1], [0]])  # four of each, but askew
    with pytest.raises(ValueError, match="1 scores for 2 gold labels"):
        score("AUC", [1, 0], [1, 0], [[0.5, 0.5]])


@pytest.mark.parametrize(("name", "need"), [("AUC", "scores"), ("SeqEval", "labels")])
def test_what_a_metric_needs_and_the_task_has_not(name, need):
    with pytest.raises(UserError, match=f"metric {name} needs {need}"):
        score(name, [[1]], [[1]])


@pytest.mark.parametrize(
    ("name", "gold", "predicted", "what"),
    [
        ("F1", [0.5, 1.0], [0.5, 2.0], "it compares class ids, not 0.5"),
        ("ACC", [["Paris"]], ["Paris"], "it compares class ids, not 'Paris'"),
        ("Pearson", [{2}], [{1}], "it compares numbers, not {2}"),
        ("EM", [0, 1], [0, 1], "it compares texts, not 0"),
        ("SeqEval", [0, 1], [0, 1], "it takes one label per word"),
    ],
)
def test_a_metric_for_another_kind_of_label(name, gold, predicted, what):
    with pytest.raises(UserError, match=f"^metric {name} does not .*: {re.escape(what)}"):
        score(name, gold, predicted, labels=("O", "B-X"))


def test_an_unknown_metric():
    with pytest.raises(UserError, match="unknown metric 'Accuracy'"):
        METRICS.get("Accuracy")


def test_a_matrix_selects_no_model():
    assert [name for name in METRICS.names() if not METRICS.get(name).is_number] == ["CMAT"]


def test_what_is_better_when_smaller():
    smaller = {name for name in METRICS.names() if not METRICS.get(name).greater_is_better}
    assert smaller == {"ECE", "Perplexity"}


def test_every_name_that_a_task_file_may_use():
    mt_dnn = "ACC F1 F1MAC F1MIC MCC Pearson Spearman AUC SeqEval SeqEvalList EmF1 EmF12 CMAT"
    ours = "ECE SeqEvalP SeqEvalR EM AnswerF1 MultiRCF1a MultiRCEM ReCoRDF1 ReCoRDEM Perplexity"
    assert all(name in METRICS for name in f"{mt_dnn} {ours}".split())
    assert METRICS.canonical("EmF1") == METRICS.canonical("EmF12") == "AnswerF1"
