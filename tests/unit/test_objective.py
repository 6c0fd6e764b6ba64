"""F = L + lambda_s R_s + mu D_Breg on whole models: identities, weights, what a term may not touch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from data_utils.errors import UserError
from mt_dnn.config.run import RunConfig
from mt_dnn.config.smart import ProximalConfig, SmoothnessConfig, resolve
from mt_dnn.model import MTDNN
from mt_dnn.objective.objective import LossTerms, Objective
from mt_dnn.registries import TASK_TYPES
from tests.support.three_tasks import KINDS, make_model, move, task_batch


def make(
    model: MTDNN, smart: str = "smart", *, mu: float | None = None, **smoothness: Any
) -> Objective:
    terms = resolve(smart, SmoothnessConfig(**smoothness), ProximalConfig(weight=mu))
    return Objective(model, RunConfig(smoothness=terms[0], proximal=terms[1]))


def gradients(model: MTDNN, loss: Tensor) -> list[Tensor | None]:
    return list(torch.autograd.grad(loss, list(model.parameters()), allow_unused=True))


@pytest.mark.parametrize("task", KINDS)
def test_off_is_the_supervised_loss_and_nothing_else(task, monkeypatch):
    model = make_model(dropout=True)
    objective = make(model, "off")
    assert objective.teacher is None

    def forbidden(*_, **__):
        raise AssertionError("work of a term that is off")

    monkeypatch.setattr("mt_dnn.objective.objective.smoothness_loss", forbidden)
    monkeypatch.setattr(type(model.task_types[task]), "divergence", forbidden)
    terms = objective(task_batch(task), seed=1)
    assert (terms.smoothness, terms.proximal, terms.smoothness_stats) == (None, None, None)
    torch.manual_seed(1)
    logits = model(task_batch(task))
    expected = model.task_types[task].loss(logits, task_batch(task))
    assert torch.equal(terms.total, expected)
    assert torch.equal(terms.supervised, expected)
    assert terms.named(task).keys() == {f"train/{task}/loss"}


@pytest.mark.parametrize("task", KINDS)
def test_the_terms_add_up_with_their_weights(task):
    model = make_model(dropout=True, weight=3.0)
    objective = make(model, mu=0.7, weight=5.0, epsilon=0.1, step_size=0.1, sigma=0.05)
    move(model)
    terms = objective(task_batch(task), seed=1)
    assert min(terms.supervised, terms.smoothness, terms.proximal) > 0
    expected = 3.0 * (terms.supervised + 5.0 * terms.smoothness + 0.7 * terms.proximal)
    torch.testing.assert_close(terms.total, expected)


@pytest.mark.parametrize("task", KINDS)
def test_a_tasks_weight_scales_its_gradient(task):
    losses = []
    for weight in (1.0, 2.5):
        model = make_model(dropout=False, weight=weight)
        losses.append(gradients(model, make(model)(task_batch(task), seed=1).total))
    for plain, weighted in zip(*losses, strict=True):
        if plain is not None:
            torch.testing.assert_close(2.5 * plain, weighted)


@pytest.mark.parametrize("task", KINDS)
def test_d_breg_is_exactly_zero_before_the_first_update(task):
    """theta = theta_tilde and no dropout: neither value nor gradient."""
    model = make_model(dropout=False)
    terms = make(model, mu=1.0, weight=0.0)(task_batch(task), seed=1)
    assert terms.proximal == 0.0
    assert torch.equal(terms.total, terms.supervised)
    for gradient in gradients(model, terms.proximal):
        assert gradient is None or not gradient.any()


@pytest.mark.parametrize("task", KINDS)
def test_d_breg_grows_once_the_student_moves_and_the_teacher_follows(task):
    model = make_model(dropout=False)
    objective = make(model, mu=1.0, weight=0.0)
    move(model)
    before, far = objective(task_batch(task), seed=1).proximal, objective.distance()
    assert before > 0
    for step in range(1, 400):
        objective.after_update(step, 400)
    assert objective(task_batch(task), seed=1).proximal < 0.9 * before
    assert objective.distance()["smart/distance"] < far["smart/distance"]


@pytest.mark.parametrize("task", KINDS)
def test_r_s_is_exactly_zero_at_delta_zero_under_shared_dropout(task):
    """What is left without a perturbation is dropout noise; identical masks leave nothing."""
    model = make_model(dropout=True)
    still = {"ascent": "none", "noise": "zero", "mu": 0.0}
    terms = make(model, **still, dropout="shared")(task_batch(task), seed=1)
    assert terms.smoothness == 0.0
    for gradient in gradients(model, terms.smoothness):
        assert gradient is None or not gradient.any()
    assert make(model, **still, dropout="off")(task_batch(task), seed=1).smoothness == 0.0
    assert make(model, **still, dropout="independent")(task_batch(task), seed=1).smoothness > 0


@pytest.mark.parametrize("task", KINDS)
def test_all_randomness_is_a_function_of_the_seed(task):
    model = make_model(dropout=True)
    objective = make(model, "rdrop")
    state = torch.get_rng_state()
    first, again = (objective(task_batch(task), seed=5) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.total, again.total)
    assert not torch.equal(first.total, objective(task_batch(task), seed=6).total)


def test_measuring_the_gain_changes_nothing_else():
    model = make_model(dropout=True)
    objective = make(model, epsilon=0.1, step_size=0.1, sigma=0.05)
    plain = objective(task_batch("c"), seed=1)
    measured = objective(task_batch("c"), seed=1, measure_gain=True)
    assert torch.equal(plain.total, measured.total)
    assert "smart/c/gain" not in plain.named("c")
    assert measured.named("c")["smart/c/gain"] > 0


def test_the_teacher_is_saved_and_restored():
    model = make_model(dropout=False)
    objective = make(model, mu=1.0)
    move(model)
    objective.after_update(1, 100)
    saved = {name: t.clone() for name, t in objective.teacher_state().items()}
    distance = objective.distance()["smart/distance"]
    fresh = make(model, mu=1.0)
    assert fresh.distance()["smart/distance"] == 0
    fresh.load_teacher_state(saved)
    assert fresh.distance()["smart/distance"] == distance
    assert make(model, "off").teacher_state() is None


def test_a_type_without_divergence_is_refused_only_where_it_is_needed(monkeypatch):
    model = make_model(dropout=False)
    monkeypatch.setattr(TASK_TYPES.get("Regression"), "divergence", None)
    make(model, "off")
    for terms in ({"mu": 0.0}, {"weight": 0.0}):
        with pytest.raises(UserError, match="Regression defines no divergence"):
            make(model, **terms)


def test_named_leaves_out_what_is_off():
    one = torch.ones(())
    terms = LossTerms(one, one, proximal=one)
    assert terms.named("t").keys() == {"train/t/loss", "train/t/proximal"}
