"""Predictions in the data's own order, scores beside a constant guess, the average that selects."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from data_utils.task_def import TaskDef
from mt_dnn.config.run import SystemConfig
from mt_dnn.devices import build_accelerator
from mt_dnn.inference.evaluate import (
    Evaluation,
    average_score,
    evaluate,
    score,
    write_predictions,
)
from mt_dnn.model import MTDNN
from mt_dnn.registries import TASK_TYPES
from mt_dnn.runs.prepare import prepare
from mt_dnn.task_types import Prediction, TaskType
from tests.support.tasks import make_task


def guesses(gold: list, values: list) -> list[Prediction]:
    return [
        Prediction(str(i), value, value, label)
        for i, (label, value) in enumerate(zip(gold, values, strict=True))
    ]


@pytest.fixture
def dev(tiny_config):
    return prepare(tiny_config()).dev


@pytest.fixture
def model(workspace, encoder_folder):
    return MTDNN.from_pretrained(encoder_folder, workspace / "tasks.yml")


@pytest.mark.parametrize("name", ["pair", "score", "pick"])
def test_predictions_come_in_the_order_of_the_rows_whatever_the_batch_size(model, dev, name):
    found = [evaluate(model, dev[name], batch_size=size) for size in (1, 3, 8)]
    for evaluation in found:
        assert [p.uid for p in evaluation.predictions] == [f"{name}-{i}" for i in range(8)]
        for one, other in zip(evaluation.predictions, found[0].predictions, strict=True):
            np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
            assert one.gold == other.gold


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_an_accelerator_sets_the_precision(model, dev, precision):
    accelerator = build_accelerator(SystemConfig(device="cpu", precision=precision))
    found, plain = (
        [p.scores for p in evaluate(model, dev["pair"], accelerator=given).predictions]
        for given in (accelerator, None)
    )
    np.testing.assert_allclose(found, plain, atol=1e-2)
    assert (found == plain) == (precision == "fp32")


def test_dropout_is_off_and_the_mode_is_restored(model, dev):
    model.train()
    frozen = model.encoder.eval()  # a part that was switched off stays off
    first, again = (evaluate(model, dev["pair"]) for _ in range(2))
    assert [p.scores for p in first.predictions] == [p.scores for p in again.predictions]
    assert model.training
    assert model.heads.training
    assert not frozen.training


def kind_of(definition: TaskDef) -> TaskType:
    return TASK_TYPES.get(definition.task_type)(definition)


def test_the_baseline_of_classes_is_the_most_frequent_one():
    _, baseline = score(kind_of(make_task()), guesses([1, 1, 1, 0], [0, 0, 0, 0]))
    assert baseline == {"ACC": 75.0}


def test_the_baseline_of_numbers_is_the_mean():
    numbers = make_task("Regression", n_class=1, metrics=("Pearson",), metric_for_best="Pearson")
    metrics, baseline = score(kind_of(numbers), guesses([0.0, 1.0, 2.0], [0.0, 2.0, 4.0]))
    assert metrics == {"Pearson": pytest.approx(100.0)}
    assert baseline == {"Pearson": 0.0}


def test_candidates_are_scored_one_by_one():
    gold, values = [[1, 0, 0], [0, 1]], [[1, 0, 0], [1, 0]]
    metrics, baseline = score(kind_of(make_task("Ranking")), guesses(gold, values))
    assert metrics == {"ACC": pytest.approx(60.0)}
    assert baseline == {"ACC": pytest.approx(60.0)}


def test_what_is_no_number_has_no_baseline():
    two = make_task(metrics=("ACC", "CMAT"), n_class=2)
    predictions = [Prediction("u", 0, [0.9, 0.1], 0), Prediction("v", 1, [0.2, 0.8], 1)]
    metrics, baseline = score(kind_of(two), predictions)
    assert metrics == {"ACC": 100.0, "CMAT": [[1, 0], [0, 1]]}
    assert baseline.keys() == {"ACC"}


def test_rows_without_labels_have_no_scores():
    assert score(kind_of(make_task()), guesses([None, None], [0, 1])) == ({}, {})


def evaluation(definition: TaskDef, **metrics: float) -> Evaluation:
    return Evaluation(definition, [], metrics, {})


def test_a_tasks_data_sets_are_averaged_before_the_tasks_are():
    mnli, rte = (
        make_task(name="mnli", metrics=("F1MAC", "ACC"), metric_for_best="ACC"),
        make_task(name="rte"),
    )
    found = {
        "mnli_matched": evaluation(mnli, F1MAC=0.0, ACC=80.0),
        "mnli_mismatched": evaluation(mnli, F1MAC=0.0, ACC=70.0),
        "rte": evaluation(rte, ACC=50.0),
    }
    assert average_score(found) == pytest.approx((75 + 50) / 2)


def test_what_is_better_when_smaller_counts_negatively():
    loss = make_task("MaskLM", name="lm")
    assert average_score({"lm": evaluation(loss, Perplexity=3.0)}) == -3.0


def test_without_scores_there_is_no_average():
    assert average_score({}) is None
    assert average_score({"ax": evaluation(make_task())}) is None


def test_predictions_are_written_in_words(tmp_path):
    words = make_task(labels=("no", "yes"), n_class=2)
    predictions = [Prediction("u1", 1, [0.25, 0.75], 0), Prediction("ü2", 0, [1.0, 0.0])]
    path = tmp_path / "new" / "t.jsonl"
    write_predictions(path, kind_of(words), Evaluation(words, predictions, {}, {}))
    assert [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] == [
        {"uid": "u1", "prediction": "yes", "scores": {"no": 0.25, "yes": 0.75}, "gold": "no"},
        {"uid": "ü2", "prediction": "no", "scores": {"no": 1.0, "yes": 0.0}},
    ]


def test_nothing_is_left_in_inference_mode(model, dev):
    evaluate(model, dev["pair"])
    assert not torch.is_inference_mode_enabled()
    assert not any(p.is_inference() for p in model.parameters())
