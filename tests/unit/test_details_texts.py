"""Texts of examples, groups of rows with one passage, and predictions read back into ids."""

from __future__ import annotations

import json

import pytest

from data_utils.errors import UserError
from data_utils.metrics.outcome import Outcome
from data_utils.registries import METRICS
from data_utils.sources import FileSource, find_source
from mt_dnn.inference.details.describe import describe
from mt_dnn.inference.details.intervals import resampled_scores
from mt_dnn.inference.details.predictions import dataset_tasks, read_predictions
from mt_dnn.inference.details.texts import (
    LONGEST,
    source_groups,
    source_texts,
    texts_by_column,
    unchanged_source,
)
from mt_dnn.registries import TASK_TYPES
from tests.support.tasks import make_task


def write(folder, name, rows):
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def pairs(tmp_path):
    task = make_task(data_format="PremiseAndOneHypothesis", n_class=2)
    rows = [
        {"uid": "a", "label": 0, "premise": "one", "hypothesis": "x"},
        {"uid": "b", "label": "-", "premise": "dropped", "hypothesis": "x"},
        {"uid": "b", "label": 1, "premise": "two", "hypothesis": "x" * (LONGEST + 5)},
        {"uid": "b", "label": 1, "premise": "three", "hypothesis": "x"},
    ]
    path = write(tmp_path, "t_dev", rows)
    return task, FileSource(path, (), {})


def test_rows_are_found_by_uid_and_by_their_order_under_it(pairs):
    task, source = pairs
    found = source_texts(source, task, ["a", "b", "b"], [1, 2])
    assert {place: texts["premise"] for place, texts in found.items()} == {1: "two", 2: "three"}
    assert found[1]["hypothesis"] == "x" * LONGEST + "…"
    assert source_texts(source, task, ["a", "gone"], [1]) == {}


def test_a_source_is_read_up_to_the_last_row_that_is_needed(pairs):
    task, source = pairs
    with source.path.open("a") as stream:
        stream.write("not JSON\n")
    assert set(source_texts(source, task, ["a", "b", "b"], [0])) == {0}


def test_a_source_that_has_changed_is_not_used(tmp_path, pairs):
    task, source = pairs
    known = source.fingerprint()
    assert unchanged_source(task, "dev", tmp_path, known) == find_source(task, "dev", tmp_path)
    assert unchanged_source(task, "dev", tmp_path / "elsewhere", known) is None
    source.path.write_text(source.path.read_text() + "\n{}\n")
    assert unchanged_source(task, "dev", tmp_path, known) is None


def test_texts_have_the_names_of_their_columns():
    assert texts_by_column(("premise", "hypothesis*"), ("p", "a", "b")) == {
        "premise": "p",
        "hypothesis 1": "a",
        "hypothesis 2": "b",
    }
    assert texts_by_column(("tokens",), ("two", "words")) == {"tokens": "two words"}
    assert texts_by_column(("premise", "hypothesis"), ("p", "h")) == {
        "premise": "p",
        "hypothesis": "h",
    }


def test_questions_on_one_passage_are_one_group(tmp_path):
    task = make_task("Span", data_format="MRC", name="q", n_class=2, metrics=("EM",))
    rows = [
        {"uid": str(i), "label": "0:::3:::0:::dog", "document": f"dog {i // 2}", "question": "?"}
        for i in range(6)
    ]
    source = FileSource(write(tmp_path, "q_dev", rows), (), {})
    groups = source_groups(source, task, [str(i) for i in range(6)])
    assert groups is not None
    assert len(set(groups)) == 3
    assert groups[0] == groups[1] != groups[2]
    assert source_groups(source, task, ["0", "gone"]) is None
    single = make_task("Classification", name="t", n_class=2)
    assert source_groups(source, single, ["0"]) is None


@pytest.mark.parametrize(
    ("outcome", "labels", "written", "expected"),
    [
        (Outcome.CLASS, ("a", "b", "c"), "b", 1),
        (Outcome.CLASS, ("a", "b", "c"), None, 3),  # a generated text that is no label
        (Outcome.BINARY, (), 1, 1),
        (Outcome.WORDS, ("O", "B"), ["B", "O"], [1, 0]),
        (Outcome.CANDIDATES, ("no", "yes"), ["yes", "no"], [1, 0]),
        (Outcome.SET, ("x", "y"), ["y"], {1}),
        (Outcome.SET, (), [0, 2], {0, 2}),
        (Outcome.TEXT, (), "dog", "dog"),
        (Outcome.NUMBER, (), 1.5, 1.5),
        (None, ("a", "b"), "b", 1),
    ],
)
def test_words_become_ids_again(tmp_path, outcome, labels, written, expected):
    task = make_task("Classification", name="t", labels=labels, n_class=len(labels) or 2)
    gold = [] if outcome is Outcome.SET else written if written is not None else "a"
    scores = [1, 0, 0] if outcome is Outcome.CLASS else [1]
    path = write(tmp_path, "p", [{"uid": 7, "prediction": written, "scores": scores, "gold": gold}])
    results = read_predictions(path, task, outcome)
    assert results is not None
    assert list(results.predicted) == [expected]
    assert results.uids == ["7"]


def test_tokens_are_numbers_that_are_the_same_in_all_files(tmp_path):
    task = make_task("MaskLM")
    found = []
    for name, words in (("one", ["the", "##s", "the"]), ("other", ["##s", "the"])):
        row = {"uid": "1", "prediction": words, "scores": [1.0, 3], "gold": words}
        results = read_predictions(write(tmp_path, name, [row]), task, Outcome.TOKENS)
        assert results is not None
        found.append(results.predicted[0])
    (the, s, again), other = found
    assert the == again != s
    assert other == [s, the]


def test_named_scores_are_ordered_by_class(tmp_path):
    task = make_task("Classification", name="t", labels=("a", "b"), n_class=2)
    row = {"uid": "1", "label": "b", "scores": {"b": 0.75, "a": 0.25}, "gold": "a"}
    results = read_predictions(write(tmp_path, "p", [row]), task, Outcome.BINARY)
    assert results is not None
    assert (results.predicted, results.scores) == ([1], [[0.25, 0.75]])
    plain = make_task("Classification", name="t", n_class=2)  # keys of JSON are texts
    row = {"uid": "1", "prediction": 0, "scores": {"1": 0.25, "0": 0.75}, "gold": 0}
    results = read_predictions(write(tmp_path, "p", [row]), plain, Outcome.BINARY)
    assert results is not None
    assert results.scores == [[0.75, 0.25]]
    masked = {"uid": "1", "prediction": [], "scores": {"tokens": 2, "nats": 1.5}, "gold": []}
    results = read_predictions(write(tmp_path, "m", [masked]), make_task("MaskLM"), Outcome.TOKENS)
    assert results is not None
    assert results.scores == [[1.5, 2]]


def test_a_damaged_file_is_named_with_its_line(tmp_path):
    task = make_task("Classification", name="t", labels=("a", "b"), n_class=2)
    good = {"uid": "1", "prediction": "a", "scores": [], "gold": "a"}
    for bad in ({"uid": "2"}, {**good, "prediction": "z"}):
        path = write(tmp_path, "p", [good, bad])
        with pytest.raises(UserError, match=r"p\.jsonl:2: not a prediction of task 't'"):
            read_predictions(path, task, Outcome.BINARY)
    with pytest.raises(UserError, match="cannot be read"):
        read_predictions(tmp_path / "gone.jsonl", task, Outcome.BINARY)


def test_data_sets_belong_to_tasks():
    task = make_task("Classification", name="t", split_names=("train", "a_dev", "test"))
    assert set(dataset_tasks({"t": task})) == {"t", "t_train", "t_a", "t_test"}


def test_an_answer_is_as_certain_as_the_softmax_of_the_kept_scores(tmp_path):
    scores = {"score": 2.0, "null": 1.0, "n_best": [["dog", 2.0], ["cat", 1.0]]}
    e = 2.718281828459045
    for name, value, expected in (
        ("Span", "dog", e / (e + 1)),
        ("SpanYN", "dog", e / (e + 2)),
        ("SpanYN", "", 1 / (e + 2)),
    ):
        task = make_task(name, data_format="MRC", name="q", n_class=2, metrics=("EM", "AnswerF1"))
        kind = TASK_TYPES.get(name)(task)
        assert kind.confidence(value, scores) == pytest.approx(expected)
    rows = [
        {"uid": "1", "prediction": "dog", "scores": scores, "gold": ["dog"]},
        {"uid": "2", "prediction": "cat", "scores": scores, "gold": []},
        {"uid": "3", "prediction": "", "scores": scores, "gold": []},
    ]
    results = read_predictions(write(tmp_path, "p", rows), task, Outcome.TEXT)
    assert results is not None
    found, examples = describe(kind, results)
    assert found["answers"]["with"] == {"examples": 1, "EM": 100.0, "AnswerF1": 100.0}
    assert found["answers"]["without"]["EM"] == 50.0
    assert examples[0][1] == 1
    assert resampled_scores(METRICS.get("EM"), results, ["a", "a", "a"]) is None


@pytest.mark.parametrize("name", TASK_TYPES.names())
def test_details_and_confidences_agree_with_what_a_type_predicts(name):
    cls = TASK_TYPES.get(name)
    known = {"classes", "words", "confusion", "calibration", "ranges", "answers"}
    task = make_task(name, n_class=1 if name == "Regression" else 2)
    details = cls(task).details()
    assert set(details) <= known
    assert ("ranges" in details) == (cls.outcome(task) is Outcome.NUMBER)
    assert ("words" in details) == (cls.outcome(task) is Outcome.WORDS)
