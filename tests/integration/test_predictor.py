"""A finished run answers rows from Python."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

import mt_dnn
from data_utils.errors import UserError
from mt_dnn.inference.predictor import Predictor
from mt_dnn.task_types import load_tasks
from tests.support.finished_run import LABELS, Run


@pytest.mark.parametrize("dataset", ["nli", "tone", "sim", "rank", "nli_test", "rank_test"])
def test_answers_are_those_the_run_wrote(run: Run, predictor: Predictor, dataset: str) -> None:
    task, _, split = dataset.partition("_")
    answers = predictor.predict(task, run.rows(task, split or "dev"))
    written = run.written(dataset)
    assert [a.uid for a in answers] == [w["uid"] for w in written]
    assert [a.gold for a in answers] == [w.get("gold") for w in written]
    for a, w in zip(answers, written, strict=True):
        record = json.loads(json.dumps(a.record()))  # keys of JSON objects are texts
        assert record.keys() == w.keys()
        assert not isinstance(a.scores, dict) or list(record["scores"]) == list(w["scores"])
        values = [list(s.values()) if isinstance(s, dict) else s for s in (a.scores, w["scores"])]
        np.testing.assert_allclose(*values, rtol=1e-4, atol=1e-6)
        if isinstance(w["prediction"], float):
            assert a.prediction == pytest.approx(w["prediction"], rel=1e-4, abs=1e-6)
        else:
            assert a.prediction == w["prediction"]


@pytest.mark.parametrize("task", ["nli", "tone", "rank"])
def test_the_answers_to_compare_differ_from_row_to_row(run: Run, task: str) -> None:
    """Constant ones would agree in any order, and whatever text was read."""
    scores = [record["scores"] for record in run.written(task)]
    first = [next(iter(s.values())) if isinstance(s, dict) else s[0] for s in scores]
    assert np.ptp(first) > 0.01


def test_strings_tuples_and_dicts_say_the_same(run: Run, predictor: Predictor) -> None:
    dicts = [{"premise": row["premise"]} for row in run.rows("tone")]
    texts = [row["premise"] for row in dicts]
    assert predictor.predict("tone", dicts) == predictor.predict("tone", texts)
    assert predictor.predict("tone", dicts) == predictor.predict("tone", [(t,) for t in texts])

    pairs = [(row["premise"], row["hypothesis"]) for row in run.rows("nli")]
    dicts = [{"hypothesis": hypothesis, "premise": premise} for premise, hypothesis in pairs]
    assert predictor.predict("nli", pairs) == predictor.predict("nli", dicts)

    lists = [[row["premise"], *row["hypothesis"]] for row in run.rows("rank")]
    dicts = [{"premise": premise, "hypothesis": rest} for premise, *rest in lists]
    assert predictor.predict("rank", lists) == predictor.predict("rank", dicts)


def test_batch_size_and_order_do_not_matter(run: Run, predictor: Predictor) -> None:
    for task in ("nli", "rank"):
        rows = run.rows(task)
        whole = predictor.predict(task, rows)
        others = predictor.predict(task, rows, batch_size=2), predictor.predict(task, rows[::-1])
        for other in (others[0], others[1][::-1]):
            assert [a.uid for a in other] == [a.uid for a in whole]
            assert [a.prediction for a in other] == [a.prediction for a in whole]
            for a, b in zip(other, whole, strict=True):
                values = [list(x.scores.values()) if task == "nli" else x.scores for x in (a, b)]
                np.testing.assert_allclose(*values, rtol=1e-4, atol=1e-6)


def test_answers_speak_the_words_of_the_task(predictor: Predictor) -> None:
    (nli,) = predictor.predict("nli", [("a dog", "an animal")])
    assert set(nli.scores) == set(LABELS["nli"])
    assert nli.prediction == max(nli.scores, key=nli.scores.__getitem__)
    assert sum(nli.scores.values()) == pytest.approx(1)
    (tone,) = predictor.predict("tone", ["a good film"])
    assert set(tone.scores) == {0, 1}
    (rank,) = predictor.predict("rank", [("a question", "one", "two", "three")])
    assert sorted(rank.prediction) == [0, 0, 1]
    assert rank.prediction[int(np.argmax(rank.scores))] == 1


def test_regression_answers_a_number_and_not_a_class(predictor: Predictor) -> None:
    answers = predictor.predict("sim", [("a dog", "an animal"), ("war", "peace and other things")])
    assert all(type(answer.prediction) is float for answer in answers)
    assert answers[0].prediction != answers[1].prediction
    assert [a.prediction for a in answers] == [a.scores for a in answers]


def test_logits_are_what_the_scores_come_from(run: Run, predictor: Predictor) -> None:
    rows = run.rows("nli")
    logits = predictor.logits("nli", rows, batch_size=3)
    assert isinstance(logits, np.ndarray)
    assert logits.shape == (len(rows), 3)
    assert logits.dtype == np.float32
    scores = [list(answer.scores.values()) for answer in predictor.predict("nli", rows)]
    np.testing.assert_allclose(torch.tensor(logits).softmax(-1), scores, rtol=1e-4, atol=1e-6)

    ragged = predictor.logits("rank", run.rows("rank"))
    answers = predictor.predict("rank", run.rows("rank"))
    for values, answer in zip(ragged, answers, strict=True):
        expected = torch.tensor(values).softmax(-1)
        np.testing.assert_allclose(expected, answer.scores, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_embeddings_are_those_of_the_encoder_alone(
    run: Run, predictor: Predictor, pooling: str
) -> None:
    texts = [row["premise"] for row in run.rows("tone")]
    found = predictor.embeddings(texts, pooling, batch_size=4)
    best = run.folder / "best"
    model, tokenizer = AutoModel.from_pretrained(best).eval(), AutoTokenizer.from_pretrained(best)
    expected = []
    for text in texts:  # one by one: no padding
        with torch.inference_mode():
            hidden = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]  # (T, H)
        expected.append((hidden.mean(0) if pooling == "mean" else hidden[0]).numpy())
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.stack(expected), rtol=1e-4, atol=1e-5)


def test_labels_may_stand_beside_some_rows_only(run: Run, predictor: Predictor) -> None:
    pair = {"premise": "a dog", "hypothesis": "an animal"}
    labels = [
        "neutral",
        None,
        "",
        "-",
        "entailment",
    ]  # "-": annotators disagreed; dropped in training
    answers = predictor.predict("nli", [pair | {"label": label} for label in labels])
    assert [a.gold for a in answers] == ["neutral", None, None, None, "entailment"]
    assert [a.uid for a in answers] == ["0", "1", "2", "3", "4"]


def test_no_rows_give_no_answers(predictor: Predictor) -> None:
    assert predictor.predict("nli", []) == []
    assert predictor.logits("nli", []).shape == (0, 3)
    assert predictor.embeddings([]).shape == (0, 32)


def test_loading_leaves_the_random_state_alone_and_takes_the_folder_too(run: Run) -> None:
    before = torch.get_rng_state()
    again = mt_dnn.load(str(run.folder / "best"))
    assert torch.equal(torch.get_rng_state(), before)
    assert not again.model.training
    assert list(again.tasks) == ["nli", "tone", "sim", "rank"]


@pytest.mark.parametrize(
    ("task", "rows", "message"),
    [
        ("mnli", ["a"], "no task 'mnli'.*Did you mean 'nli'.*nli, rank, sim, tone"),
        ("nli", ["one text"], "row 0: 1 texts; task 'nli' takes: premise, hypothesis"),
        ("nli", [("a", "b"), ("a", "b", "c")], "row 1: 3 texts"),
        ("nli", [("a", "b"), {"premise": "a"}], "row 1: column 'hypothesis' is missing"),
        ("nli", [("a", None)], "row 0: .* is not a text, a tuple of texts, or a dict"),
        ("nli", ("a", "b"), "row 0: 1 texts"),
        ("tone", "a text", "put it in a list"),
        ("rank", [("a question",)], "row 0: 1 texts; .* premise, hypothesis 1 .. N"),
        (
            "nli",
            [{"premise": "a", "hypothesis": "b", "label": "entailed"}],
            "row 0: label 'entailed' .* Did you mean 'entailment'",
        ),
    ],
)
def test_errors_name_the_row_and_the_choices(
    predictor: Predictor, task: str, rows: list, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        predictor.predict(task, rows)


def test_a_task_that_shares_a_head_is_answered_by_it(run: Run) -> None:
    predictor = mt_dnn.load(run.folder)
    later = load_tasks(run.data / "later.yml")
    predictor.add_task(later["probe"])
    rows = run.rows("nli")
    assert predictor.predict("probe", rows) == predictor.predict("nli", rows)
    with pytest.raises(
        UserError, match=r"the run has no head 'elsewhere'.*Choices: nli, rank, sim, tone"
    ):
        predictor.add_task(later["other"])
    with pytest.raises(UserError, match=r"shares head 'nli' .* n_class: 2 and 3"):
        predictor.add_task(load_tasks(run.data / "wide.yml")["wide"])
