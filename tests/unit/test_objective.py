"""F = L + lambda_s R_s + mu D_Breg on whole models: identities, weights, what a term may not touch."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
import torch
from torch import Tensor

from data_utils.errors import UserError
from mt_dnn.config.presets import resolve
from mt_dnn.config.run import RunConfig
from mt_dnn.config.smart import ProximalConfig, SmoothnessConfig
from mt_dnn.model import MTDNN
from mt_dnn.objective.objective import Objective
from mt_dnn.objective.proximal import ProximalTeacher
from mt_dnn.objective.smoothness import SmoothnessStats, smoothness_loss
from mt_dnn.randomness import dropout_off, seeded_rng, step_seed
from mt_dnn.registries import TASK_TYPES
from tests.support.three_tasks import KINDS, make_model, move, task_batch


def make(
    model: MTDNN, smart: str = "smart", *, mu: float | None = None, **smoothness: Any
) -> Objective:
    terms = resolve(smart, SmoothnessConfig(**smoothness), ProximalConfig(weight=mu))
    return Objective.from_config(model, RunConfig(smoothness=terms[0], proximal=terms[1]))


def gradients(model: MTDNN, loss: Tensor) -> list[Tensor | None]:
    return list(torch.autograd.grad(loss, list(model.parameters()), allow_unused=True))


@pytest.mark.parametrize("task", KINDS)
def test_off_is_the_supervised_loss_and_nothing_else(task, monkeypatch):
    model = make_model(dropout=True)
    objective = make(model, "off")
    assert [term.tag for term in objective.terms] == ["loss"]

    def forbidden(*_, **__):
        raise AssertionError("work of a term that is off")

    monkeypatch.setattr("mt_dnn.objective.smart.smoothness_loss", forbidden)
    monkeypatch.setattr(type(model.task_types[task]), "divergence", forbidden)
    terms = objective(task_batch(task), seed=1)
    torch.manual_seed(1)
    logits = model(task_batch(task))
    expected = model.task_types[task].loss(logits, task_batch(task))
    assert torch.equal(terms.total, expected)
    assert torch.equal(terms.values["loss"], expected)
    assert terms.named(task).keys() == {f"train/{task}/loss"}


@pytest.mark.parametrize("task", KINDS)
def test_the_terms_add_up_with_their_weights(task):
    model = make_model(dropout=True, weight=3.0)
    objective = make(model, mu=0.7, weight=5.0, epsilon=0.1, step_size=0.1, sigma=0.05)
    move(model)
    terms = objective(task_batch(task), seed=1)
    loss, smoothness, proximal = terms.values.values()
    assert list(terms.values) == ["loss", "smoothness", "proximal"]
    assert min(loss, smoothness, proximal) > 0
    assert torch.equal(terms.total, 3.0 * (loss + 5.0 * smoothness + 0.7 * proximal))


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
    assert terms.values["proximal"] == 0.0
    assert torch.equal(terms.total, terms.values["loss"])
    for gradient in gradients(model, terms.values["proximal"]):
        assert gradient is None or not gradient.any()


@pytest.mark.parametrize("dropout", ["shared", "off", "independent"])
@pytest.mark.parametrize("task", KINDS)
def test_d_breg_of_a_copy_is_zero_with_dropout_too_unless_the_masks_differ(task, dropout):
    model = make_model(dropout=True)
    terms = resolve("smart", SmoothnessConfig(weight=0.0), ProximalConfig(dropout=dropout))
    objective = Objective.from_config(model, RunConfig(smoothness=terms[0], proximal=terms[1]))
    value = objective(task_batch(task), seed=1).values["proximal"]
    zero = dropout != "independent"
    assert (value == 0) == zero
    slopes = [g for g in gradients(model, value) if g is not None]
    assert all(not g.any() for g in slopes) == zero
    move(model)
    assert objective(task_batch(task), seed=1).values["proximal"] > 0


@pytest.mark.parametrize("task", KINDS)
def test_d_breg_grows_once_the_student_moves_and_the_teacher_follows(task):
    model = make_model(dropout=False)
    objective = make(model, mu=1.0, weight=0.0)
    move(model)
    before = objective(task_batch(task), seed=1).values["proximal"]
    far = objective.figures()
    assert before > 0
    for step in range(1, 400):
        objective.after_update(step, 400)
    assert objective(task_batch(task), seed=1).values["proximal"] < 0.9 * before
    assert objective.figures()["smart/distance"] < far["smart/distance"]


@pytest.mark.parametrize("task", KINDS)
def test_r_s_is_exactly_zero_at_delta_zero_under_shared_dropout(task):
    """What is left without a perturbation is dropout noise; identical masks leave nothing."""
    model = make_model(dropout=True)
    still = {"ascent": "none", "noise": "zero", "mu": 0.0}

    def smoothness(dropout: str) -> Tensor:
        objective = make(model, **still, dropout=dropout)
        return objective(task_batch(task), seed=1).values["smoothness"]

    assert smoothness("shared") == 0.0
    for gradient in gradients(model, smoothness("shared")):
        assert gradient is None or not gradient.any()
    assert smoothness("off") == 0.0
    assert smoothness("independent") > 0


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
    measured = objective(task_batch("c"), seed=1, measure=True)
    assert torch.equal(plain.total, measured.total)
    assert "smart/c/gain" not in plain.named("c")
    assert measured.named("c")["smart/c/gain"] > 0


def test_the_teacher_is_saved_and_restored():
    model = make_model(dropout=False)
    objective = make(model, mu=1.0)
    move(model)
    objective.after_update(1, 100)
    saved = {name: t.clone() for name, t in objective.terms_state().items()}
    assert saved.keys() == {f"proximal.{name}" for name, _ in model.named_parameters()}
    distance = objective.figures()["smart/distance"]
    fresh = make(model, mu=1.0)
    assert fresh.figures()["smart/distance"] == 0
    fresh.load_terms_state(saved)
    assert fresh.figures()["smart/distance"] == distance
    assert make(model, "off").terms_state() == {}


def test_the_teacher_is_no_buffer_and_is_neither_moved_nor_cast():
    """A distributed wrapper would send buffers to every process before every forward pass."""
    objective = make(make_model(dropout=False), mu=1.0)
    assert [name for name, _ in objective.named_buffers() if name.startswith("terms")] == []
    (term,) = (term for term in objective.terms if term.tag == "proximal")
    term.double()
    assert {tensor.dtype for tensor in objective.terms_state().values()} == {torch.float32}


def test_the_teacher_of_another_model_is_refused():
    objective = make(make_model(dropout=False), mu=1.0)
    state = objective.terms_state()
    del state["proximal.heads.c.output.bias"]
    with pytest.raises(UserError, match=r"proximal teacher .*heads\.c\.output\.bias"):
        objective.load_terms_state(state)


def test_a_type_without_divergence_is_refused_only_where_it_is_needed(monkeypatch):
    model = make_model(dropout=False)
    monkeypatch.setattr(TASK_TYPES.get("Regression"), "divergence", None)
    make(model, "off")
    for terms in ({"mu": 0.0}, {"weight": 0.0}):
        with pytest.raises(UserError, match="Regression defines no divergence"):
            make(model, **terms)


@pytest.mark.parametrize("task", KINDS)
def test_a_configuration_that_is_not_resolved_trains_with_its_preset(task):
    model = make_model(dropout=True)
    config = RunConfig(smart="smart", smoothness=SmoothnessConfig(epsilon=0.1))
    found = Objective.from_config(model, config)(task_batch(task), seed=1)
    expected = make(model, mu=1.0, epsilon=0.1)(task_batch(task), seed=1)
    assert list(found.values) == ["loss", "smoothness", "proximal"]
    assert torch.equal(found.total, expected.total)


@pytest.mark.parametrize("dropout", ["shared", "independent", "off"])
@pytest.mark.parametrize("task", KINDS)
def test_smart_is_the_formula_to_the_last_bit(task, dropout):
    """F written out: one seed for dropout, place 1 for the noise, passes numbered from 1."""
    model = make_model(dropout=True, weight=3.0)
    large = {"epsilon": 0.1, "step_size": 0.1, "sigma": 0.05, "dropout": dropout}
    objective = make(model, mu=0.7, weight=5.0, **large)
    config = resolve("smart", SmoothnessConfig(weight=5.0, **large), ProximalConfig(weight=0.7))
    teacher = ProximalTeacher(model, config[1])
    move(model)
    batch, kind, passes = task_batch(task), model.task_types[task], count(1)

    def forward(embeds: Tensor) -> Tensor:
        if dropout == "off":
            with dropout_off(model):
                return model.logits(embeds, batch)
        with seeded_rng(8 if dropout == "shared" else 8 + next(passes), "cpu"):
            return model.logits(embeds, batch)

    embeds = model.embed(batch)
    with seeded_rng(8, "cpu"):
        logits = model.logits(embeds, batch)
    loss = kind.loss(logits, batch)  # first: the order of the graph decides how gradients add up
    smoothness, _ = smoothness_loss(
        forward,
        embeds,
        logits,
        lambda p, q: kind.divergence(p, q, batch),
        batch.attention_mask,
        config[0],
        torch.Generator().manual_seed(step_seed(8, 1)),
    )
    proximal = kind.divergence(logits, teacher.logits(batch, dropout_seed=8), batch)
    expected = 3.0 * (loss + 5.0 * smoothness + 0.7 * proximal)
    total = objective(batch, seed=8).total
    assert torch.equal(total, expected)
    for mine, theirs in zip(gradients(model, total), gradients(model, expected), strict=True):
        assert (mine is None and theirs is None) or torch.equal(mine, theirs)


def test_smarts_tags_are_those_of_the_documents():
    model = make_model(dropout=True)
    terms = make(model, mu=1.0, epsilon=0.1)(task_batch("c"), seed=1, measure=True)
    health = {f"smart/c/{name}" for name in SmoothnessStats._fields if name != "loss"}
    losses = {f"train/c/{tag}" for tag in ("loss", "smoothness", "proximal")}
    assert terms.named("c").keys() == losses | health
