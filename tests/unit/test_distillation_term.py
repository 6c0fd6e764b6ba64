"""Distillation in the objective: weights, the kd_loss of a task, and where there is no teacher."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F

from data_utils.collator import Batch
from data_utils.errors import UserError
from mt_dnn.config.bounds import resolve_config
from mt_dnn.config.presets import resolve
from mt_dnn.config.run import DistillConfig, RunConfig
from mt_dnn.config.smart import ProximalConfig, SmoothnessConfig
from mt_dnn.model import MTDNN
from mt_dnn.objective.objective import Objective
from mt_dnn.registries import DIVERGENCES
from tests.reference import distillation
from tests.support.three_tasks import KINDS, make_model, move, task_batch


def taught(task: str) -> Batch:
    batch = task_batch(task)
    shape = {"c": (3, 3), "r": (3, 1), "k": (3, 2)}[task]
    soft = torch.randn(shape, generator=torch.Generator().manual_seed(4))
    return dataclasses.replace(batch, soft_labels=soft)


def objective(model: MTDNN, smart: str = "off", **distill) -> Objective:
    large = SmoothnessConfig(epsilon=0.1, step_size=0.1, sigma=0.05)
    smoothness, proximal = resolve(smart, large, ProximalConfig())
    config = DistillConfig(**{"soft_labels": "soft"} | distill)
    run = RunConfig(smoothness=smoothness, proximal=proximal, distill=config)
    return Objective.from_config(model, run)


@pytest.mark.parametrize("task", KINDS)
def test_the_terms_add_up_with_their_weights(task):
    model = make_model(dropout=True, weight=3.0)
    whole = objective(model, "smart", weight=0.8, annealing="linear", temperature=2.0)
    move(model)
    terms = whole(taught(task), seed=1, progress=0.25)
    loss, distill, smoothness, proximal = (
        terms.named(task)[f"train/{task}/{tag}"]
        for tag in ("loss", "distill", "smoothness", "proximal")
    )
    assert min(loss, distill, smoothness, proximal) > 0
    mixed = 0.4 * loss + 0.6 * distill
    torch.testing.assert_close(terms.values["loss"], mixed)
    torch.testing.assert_close(terms.total, 3.0 * (mixed + smoothness + proximal))


@pytest.mark.parametrize(
    ("task", "name"), [("c", "kl"), ("r", "squared_error"), ("k", "kl"), ("c", "js")]
)
def test_the_tasks_own_kd_loss_else_the_types(task, name):
    """``adv_loss`` is another matter."""
    options = {"kd_loss": "js"} if name == "js" else {"adv_loss": "hellinger"}
    model = make_model(dropout=False)
    kind = model.task_types[task]
    kind.task = dataclasses.replace(kind.task, **options)
    batch = taught(task)
    expected = DIVERGENCES.get(name)(batch.soft_labels, model(batch), mask=batch.candidate_mask)
    found = objective(model)(batch, seed=1).figures[f"train/{task}/distill"]
    torch.testing.assert_close(found, expected.mean())


@pytest.mark.parametrize("name", ["MseCriterion", "mse"])
def test_mse_is_a_mean_over_classes_as_kd_loss_and_a_sum_as_adv_loss(name):
    model = make_model(dropout=False, kd_loss=name, adv_loss=name)
    batch, kind = taught("c"), model.task_types["c"]
    assert batch.soft_labels is not None
    logits = model(batch)
    mean = distillation.mse_term(logits.double(), batch.soft_labels.double(), 2.0)
    found = objective(model, temperature=2.0)(batch, seed=1).figures["train/c/distill"]
    assert found.item() == pytest.approx(mean.item(), rel=1e-5)
    assert found.item() == pytest.approx(F.mse_loss(logits, batch.soft_labels).item(), rel=1e-5)
    total = kind.divergence(logits, batch.soft_labels, batch)
    assert total.item() == pytest.approx(3 * mean.item(), rel=1e-5)


def test_mse_is_a_mean_over_the_candidates_that_are_present():
    model = make_model(dropout=False, kd_loss="mse")
    batch = taught("k")  # two, two and one candidates
    assert batch.soft_labels is not None
    square = (model(batch) - batch.soft_labels).square()
    expected = (square[0].mean() + square[1].mean() + square[2, 0]) / 3
    found = objective(model)(batch, seed=1).figures["train/k/distill"]
    torch.testing.assert_close(found, expected.detach())


@pytest.mark.parametrize("task", KINDS)
def test_a_batch_without_teacher_and_a_term_that_is_off_have_plain_losses(task):
    model = make_model(dropout=True)
    plain = Objective.from_config(model, RunConfig())(task_batch(task), seed=1)
    for terms in (
        objective(model)(task_batch(task), seed=1),
        objective(model, weight=0.0)(taught(task), seed=1),
        objective(model, soft_labels=None)(taught(task), seed=1),
    ):
        assert torch.equal(terms.total, plain.total)
        assert f"train/{task}/distill" not in terms.named(task)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"weight": 1.5}, "distill.weight: 1.5; it must be between 0 and 1"),
        ({"weight": -0.1}, "distill.weight: -0.1"),
        ({"temperature": 0.0}, "distill.temperature: 0.0; it must be greater than 0"),
        ({"temperature": math.inf}, "distill.temperature: inf"),
        ({"temperature": math.nan}, "distill.temperature: nan"),
    ],
)
def test_settings_out_of_range_are_named(values, message):
    with pytest.raises(UserError, match=message.replace(".", r"\.")):
        resolve_config(RunConfig(distill=DistillConfig(**values)))
