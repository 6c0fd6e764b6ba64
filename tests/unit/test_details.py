"""Details of an evaluation: equal to the reports of scikit-learn and seqeval, and to counts by hand."""

from __future__ import annotations

import numpy as np
import pytest
import seqeval.metrics as seqeval
from sklearn.metrics import classification_report
from sklearn.metrics import confusion_matrix as sklearn_confusion

from data_utils.metrics.base import Results
from data_utils.metrics.outcome import Outcome
from data_utils.registries import METRICS
from mt_dnn.inference.details.answers import by_answer
from mt_dnn.inference.details.calibration import calibration
from mt_dnn.inference.details.classes import class_rows, confusion, word_rows
from mt_dnn.inference.details.decisions import Decisions, example_decisions, right_examples
from mt_dnn.inference.details.mistakes import choose_examples
from mt_dnn.inference.details.ranges import error_ranges

RNG = np.random.default_rng(3)
NER = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-NEVER")


def mixed(gold: np.ndarray, count: int) -> np.ndarray:
    return np.where(RNG.random(gold.shape) < 0.6, gold, RNG.integers(0, count, gold.shape))


def assert_rows(rows: list[dict], report: dict) -> None:
    """The rows of a library's report, as a dict."""
    for row in rows:
        own = report[row["name"]]
        for key, other in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
            assert row[key] == pytest.approx(100 * own[other], abs=1e-9), (row, key)
        assert row["support"] == own["support"]


def test_classes_are_those_of_scikit_learn():
    gold = RNG.integers(0, 3, 60)
    predicted = mixed(gold, 4)
    labels = ("a", "b", "c", "d", "never")
    results = Results(gold.tolist(), predicted.tolist(), labels=labels)
    found = class_rows(results)
    report = classification_report(
        gold, predicted, labels=range(5), target_names=labels, output_dict=True, zero_division=0
    )
    assert found["kind"] == "class"
    assert [row["name"] for row in found["rows"]] == list(labels)
    assert_rows(found["rows"], report)
    counts = confusion(results)
    assert counts["labels"] == list(labels)
    assert counts["counts"] == sklearn_confusion(gold, predicted, labels=range(5)).tolist()


def test_classes_of_candidates_are_counted_by_candidate():
    gold, predicted = [[0, 1], [1, 0, 0]], [[1, 0], [1, 0, 0]]
    found = class_rows(Results(gold, predicted))
    assert_rows(
        found["rows"],
        classification_report([0, 1, 1, 0, 0], [1, 0, 1, 0, 0], output_dict=True),
    )
    assert confusion(Results(gold, predicted))["counts"] == [[2, 1], [1, 1]]


def test_labels_of_sets_are_those_of_scikit_learn():
    gold = RNG.integers(0, 2, (50, 3))
    predicted = mixed(gold, 2)
    sides = [[set(np.flatnonzero(row).tolist()) for row in side] for side in (gold, predicted)]
    found = class_rows(Results(*sides, labels=("x", "y", "z")))
    report = classification_report(
        gold, predicted, target_names=["x", "y", "z"], output_dict=True, zero_division=0
    )
    assert found["kind"] == "label"
    assert_rows(found["rows"], report)


def test_entity_types_are_those_of_seqeval():
    lengths = RNG.integers(1, 12, 60)
    gold = [RNG.integers(0, 5, n) for n in lengths]
    predicted = [mixed(row, 5).tolist() for row in gold]
    sides = [[row.tolist() for row in gold], predicted]
    words = [[[NER[i] for i in row] for row in side] for side in sides]
    found = word_rows(Results(*sides, labels=NER))
    assert found["kind"] == "entity"
    assert [row["name"] for row in found["rows"]] == ["LOC", "PER"]
    assert_rows(found["rows"], seqeval.classification_report(*words, output_dict=True))


def test_labels_without_tags_are_classes_of_words():
    gold, predicted = [[0, 1], [2]], [[0, 2], [2]]
    labels = ("NOUN", "VERB", "ADJ")
    found = word_rows(Results(gold, predicted, labels=labels))
    assert found == class_rows(Results(gold, predicted, labels=labels))
    assert [row["name"] for row in found["rows"]] == list(labels)
    as_entities = Results(gold, predicted, labels=labels, options={"tag_scheme": "none"})
    assert word_rows(as_entities)["kind"] == "entity"
    unclear = Results(gold, predicted, labels=("B-x", "LOC", "O"))  # fit no scheme
    assert word_rows(unclear)["kind"] == "class"


def test_a_generated_text_that_is_no_label_is_a_column_and_no_class():
    results = Results([0, 1, 1], [0, 1, 2], labels=("no", "yes"))
    assert [row["name"] for row in class_rows(results)["rows"]] == ["no", "yes"]
    assert confusion(results) == {
        "labels": ["no", "yes", "(other text)"],
        "counts": [[1, 0, 0], [0, 1, 1], [0, 0, 0]],
    }


@pytest.mark.parametrize("kind", ["classes", "words", "sets", "candidates"])
def test_the_calibration_error_is_the_metrics(kind):
    p = RNG.dirichlet([0.5] * 3, 80)
    gold = RNG.integers(0, 3, 80)
    value = p.argmax(1)
    best = p.max(1)
    outcome = {"sets": Outcome.SET, "words": Outcome.WORDS}.get(kind, Outcome.CLASS)
    if kind == "classes":
        results = Results(gold.tolist(), value.tolist(), p.tolist())
        confidences: list = best.tolist()
    elif kind == "words":
        sides = [side.reshape(40, 2).tolist() for side in (gold, value, best)]
        results = Results(*sides, labels=("a", "b", "c"))
        confidences = sides[2]
    elif kind == "sets":
        q = RNG.random((80, 3))
        sides = [
            [set(np.flatnonzero(row).tolist()) for row in side]
            for side in (RNG.random((80, 3)) < 0.4, q > 0.5)
        ]
        results = Results(*sides, q.tolist())
        confidences = np.maximum(q, 1 - q).tolist()
    else:
        q = RNG.random((40, 2))
        results = Results(
            (RNG.random((40, 2)) < 0.4).astype(int).tolist(), [[1, 0]] * 40, q.tolist()
        )
        confidences = np.stack([q[:, 0], 1 - q[:, 1]], 1).tolist()
    decisions = example_decisions(results, outcome, confidences)
    assert decisions is not None
    found = calibration(decisions)
    assert found is not None
    expected = METRICS.get("ECE")(
        results.gold, results.predicted, results.scores, labels=results.labels
    )
    assert found["ece"] == pytest.approx(expected, abs=1e-9)
    assert sum(row["count"] for row in found["bins"]) == sum(len(one.right) for one in decisions)
    for row in found["bins"]:
        assert row["count"] > 0
        assert 100 * row["low"] < row["confidence"] <= 100 * row["high"]


def test_reliability_by_hand():
    decisions = [Decisions([True], [0.95]), Decisions([False], [0.97]), Decisions([True], [0.5])]
    found = calibration(decisions)
    assert found is not None
    high, low = found["bins"][1], found["bins"][0]
    assert (high["count"], high["accuracy"]) == (2, 50.0)
    assert high["confidence"] == pytest.approx(96.0)
    assert (low["low"], low["high"]) == (7 / 15, 8 / 15)
    assert found["ece"] == pytest.approx((2 * 46.0 + 50.0) / 3)
    assert calibration([Decisions([True], [])]) is None


def test_words_beyond_the_maximum_length_are_neither_calibrated_nor_uncertain():
    """They are predicted with probability 0, which is no probability of a class."""
    cut = [Decisions([True, True, False], [0.95, 0.0, 0.0]), Decisions([True], [0.5])]
    whole = [Decisions([True], [0.95]), Decisions([True], [0.5])]
    assert calibration(cut) == calibration(whole)
    assert calibration([Decisions([True], [0.0])]) is None
    results = Results([[0, 0], [0], [0]], [[0, 0], [0], [0]])
    decisions = example_decisions(results, Outcome.WORDS, [[0.9, 0.0], [0.7], [0.0]])
    assert choose_examples(results, Outcome.WORDS, decisions) == [
        ("uncertain", 1, 0.7),
        ("uncertain", 0, 0.9),
    ]


def test_errors_by_range_by_hand():
    gold = [1.0, 1.0, 1.0, 2.0, 3.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    error = [1.0, -1.0, 0.0, 2.0, 1.0, 1.0, 0.0, 0.0, -3.0, -1.0]
    predicted = [g + e for g, e in zip(gold, error, strict=True)]
    rows = error_ranges(Results(gold, predicted))
    assert [(row["low"], row["high"], row["count"]) for row in rows] == [
        *((1.0, 1.0, 3), (2.0, 2.0, 1), (3.0, 3.0, 2), (4.0, 5.0, 2), (6.0, 7.0, 2)),
    ]
    assert rows[0]["bias"] == 0
    assert rows[0]["mae"] == pytest.approx(2 / 3)
    assert rows[-1]["bias"] == -2
    assert rows[-1]["rmse"] == pytest.approx(np.sqrt(5))
    (one,) = error_ranges(Results([2.0] * 4, [3.0] * 4))
    assert (one["count"], one["mae"]) == (4, 1)


def test_questions_with_and_without_answer_are_parts_of_the_score():
    gold = [["dog"], ["the big cat"], [], []]
    predicted = ["dog", "cat", "", "dog"]
    metrics = {name: METRICS.get(name) for name in ("EM", "AnswerF1")}
    found = by_answer(Results(gold, predicted), metrics)
    assert found is not None
    assert found["with"] == {"examples": 2, "EM": 50.0, "AnswerF1": pytest.approx(100 * 5 / 6)}
    assert found["without"] == {"examples": 2, "EM": 50.0, "AnswerF1": 50.0}
    assert by_answer(Results(gold[:2], predicted[:2]), metrics) is None


def test_the_most_confident_mistakes_come_first_then_the_least_certain():
    gold = [0, 0, 0, 0, 0]
    predicted = [1, 0, 1, 0, 0]
    confidence = [0.6, 0.99, 0.9, 0.55, 0.7]
    results = Results(gold, predicted)
    decisions = example_decisions(results, Outcome.CLASS, confidence)
    assert choose_examples(results, Outcome.CLASS, decisions) == [
        ("confident", 2, 0.9),
        ("confident", 0, 0.6),
        ("uncertain", 3, 0.55),
        ("uncertain", 4, 0.7),
        ("uncertain", 1, 0.99),
    ]


def test_a_mistake_is_as_confident_as_its_most_confident_wrong_word():
    results = Results([[0, 0, 1], [0, 1]], [[1, 1, 1], [0, 1]])
    decisions = example_decisions(results, Outcome.WORDS, [[0.6, 0.8, 0.99], [0.7, 0.5]])
    assert choose_examples(results, Outcome.WORDS, decisions) == [
        ("confident", 0, 0.8),
        ("uncertain", 1, 0.5),
    ]


def test_numbers_are_ordered_by_their_error():
    results = Results([1.0, 2.0, 3.0], [1.0, 0.0, 3.5])
    assert choose_examples(results, Outcome.NUMBER, None) == [
        ("confident", 1, None),
        ("confident", 2, None),
    ]


def test_at_most_fifty_of_both():
    count = 120
    results = Results([0] * count, [1] * 60 + [0] * 60)
    decisions = example_decisions(results, Outcome.CLASS, [0.9] * count)
    kinds = [kind for kind, *_ in choose_examples(results, Outcome.CLASS, decisions)]
    assert kinds == ["confident"] * 50 + ["uncertain"] * 50


def test_right_texts_are_compared_as_by_squad():
    results = Results([["The dog"], []], ["dog.", "cat"])
    right = right_examples(results, Outcome.TEXT)
    assert right is not None
    assert right.tolist() == [True, False]
    assert right_examples(results, Outcome.NUMBER) is None
