"""New regression heads start at the mean and the deviation of the training labels."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from data_utils.errors import UserError
from mt_dnn.config.run import ModelConfig
from mt_dnn.model import MTDNN
from mt_dnn.training.assemble import start_heads
from mt_dnn.training.trainer import Trainer
from tests.support.batches import make_batch
from tests.support.encoders import VOCAB, tiny_encoder
from tests.support.tasks import make_task

LABELS = np.random.default_rng(0).normal(3.5, 1.5, 200).astype(np.float32)


def make_model(*tasks: dict) -> MTDNN:
    torch.manual_seed(1)
    made = [
        make_task("Regression", **{"data_format": "PremiseAndOneHypothesis"} | fields)
        for fields in tasks
    ]
    return MTDNN(tiny_encoder(), {task.name: task for task in made}, ModelConfig()).eval()


def store(labels: np.ndarray | None) -> SimpleNamespace:
    return SimpleNamespace(labels=labels)


@pytest.mark.parametrize("fields", [{}, {"enable_san": True}, {"pooling": "pair"}])
def test_a_new_head_predicts_around_the_mean(fields):
    model, untouched = make_model(fields), make_model(fields)
    start_heads(model, {"t": store(LABELS)})
    output = model.heads["t"].output
    assert output.bias.item() == pytest.approx(LABELS.mean())
    scaled = untouched.heads["t"].output.weight * LABELS.std()
    torch.testing.assert_close(output.weight, scaled)
    predicted = model(make_batch([5] * 20, ids=(1, VOCAB)))
    assert abs(predicted.mean().item() - LABELS.mean()) < LABELS.std()


def test_a_trained_head_and_heads_without_such_an_output_stay():
    model = make_model({})
    nn.init.constant_(model.heads["t"].output.bias, 0.25)
    before = model.heads["t"].output.weight.clone()
    start_heads(model, {"t": store(LABELS)})
    assert model.heads["t"].output.bias.item() == 0.25
    assert torch.equal(model.heads["t"].output.weight, before)
    model.task_types["t"].start_head(nn.Identity(), LABELS)


def test_tasks_that_share_a_head_start_at_the_mean_of_all():
    model = make_model({"name": "a", "head": "shared"}, {"name": "b", "head": "shared"})
    start_heads(model, {"a": store(LABELS[:50]), "b": store(LABELS[50:] + 1)})
    expected = np.concatenate([LABELS[:50], LABELS[50:] + 1]).mean()
    assert model.heads["shared"].output.bias.item() == pytest.approx(expected)


def test_equal_labels_leave_the_weights():
    model = make_model({})
    start_heads(model, {"t": store(np.full(5, 2.0))})
    assert model.heads["t"].output.bias.item() == 2.0
    assert model.heads["t"].output.weight.any()


def test_a_parameter_that_is_replaced_is_an_error(monkeypatch):
    """The optimizer has the parameters already."""
    model = make_model({})

    def replace(head: nn.Module, labels: np.ndarray) -> None:
        head.output = nn.Linear(32, 1)

    monkeypatch.setattr(model.task_types["t"], "start_head", replace)
    with pytest.raises(UserError, match="start_head of Regression replaced a parameter"):
        start_heads(model, {"t": store(LABELS)})


def test_a_run_starts_there_and_a_run_from_it_keeps_its_own(tiny_config):
    train = {"max_steps": 1, "save_every": 0}
    config = tiny_config(name="first", train=train, trackers=[], smart="smart")
    first = Trainer(config)
    assert first.objective.figures()["smart/distance"] == 0  # the teacher starts there too
    labels = first.data.train["score"].labels
    assert first.model.heads["score"].output.bias.item() == pytest.approx(labels.mean())
    first.fit()
    trained = first.model.heads["score"].output.bias.item()
    model = {**vars(config.model), "init_from": str(first.run_dir)}
    again = Trainer(tiny_config(name="second", model=model, trackers=[]))
    assert again.model.heads["score"].output.bias.item() == trained
