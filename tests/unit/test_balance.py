"""rho, the weight that follows it, and when it is measured."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from mt_dnn.config.run import RunConfig
from mt_dnn.config.smart import ProximalConfig, SmoothnessConfig
from mt_dnn.model import MTDNN
from mt_dnn.objective.balance import Balance, RhoSchedule, gradient_norm
from mt_dnn.objective.objective import LossTerms, Objective
from tests.support.three_tasks import KINDS, make_model, move, task_batch

LARGE: dict[str, Any] = {"epsilon": 0.02, "step_size": 2.0, "sigma": 0.02}


def make(model: MTDNN, **smoothness: Any) -> Objective:
    config = RunConfig(
        smart="smart",
        smoothness=SmoothnessConfig(**LARGE, **smoothness),
        proximal=ProximalConfig(weight=0.7),
    )
    objective = Objective.from_config(model, config)
    move(model)
    return objective


def encoder_norm(model: MTDNN, value: Tensor) -> Tensor:
    encoder = list(model.encoder.parameters())
    found = torch.autograd.grad(value, encoder, retain_graph=True, allow_unused=True)
    return torch.cat([g.flatten() for g in found if g is not None]).norm()


def gradients(objective: Objective, loss: LossTerms) -> list[Tensor | None]:
    objective.zero_grad()
    loss.total.backward()
    return [p.grad for p in objective.parameters()]


@pytest.mark.parametrize("task", KINDS)
def test_rho_is_the_ratio_of_the_weighted_gradients_on_the_encoder(task):
    model = make_model(dropout=True, weight=3.0)  # the task's weight cancels
    loss = make(model, weight=5.0)(task_batch(task), seed=1, measure_rho=True)
    supervised = encoder_norm(model, loss.values["loss"])
    figures = loss.named(task)
    for name, weight, tag in (("rho", 5.0, "smoothness"), ("rho_proximal", 0.7, "proximal")):
        expected = weight * encoder_norm(model, loss.values[tag]) / supervised
        assert expected > 0
        torch.testing.assert_close(figures[f"smart/{task}/{name}"], expected)


@pytest.mark.parametrize("encoder", ["plain", "checkpointing", "compiled"])
@pytest.mark.parametrize("preset", ["smart", "freelb", "rdrop"])
def test_measuring_changes_no_gradient_and_draws_no_random_number(preset, encoder):
    model = make_model(dropout=True)
    if encoder == "checkpointing":
        model.encoder.enable_gradient_checkpointing()
    elif encoder == "compiled":  # without inductor, which takes minutes
        model.encoder.compile(backend="aot_eager")
    config = RunConfig(smart=preset, proximal=ProximalConfig(weight=0.7))
    objective = Objective.from_config(model, config)
    move(model)
    batch = task_batch("c")
    plain = gradients(objective, objective(batch, seed=1))
    state = torch.get_rng_state()
    measured_loss = objective(batch, seed=1, measure_rho=True)
    assert torch.equal(torch.get_rng_state(), state)
    assert measured_loss.figures["smart/c/rho"] > 0
    measured = gradients(objective, measured_loss)
    for one, other in zip(plain, measured, strict=True):
        assert (one is None and other is None) or torch.equal(one, other)


def test_a_frozen_encoder_has_no_rho():
    model = make_model(dropout=False)
    model.encoder.requires_grad_(False)
    figures = make(model)(task_batch("c"), seed=1, measure_rho=True).figures
    assert not [tag for tag in figures if "rho" in tag]


def test_the_backward_pass_of_a_measurement_is_not_under_autocast():
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Tanh(), torch.nn.Linear(64, 64))
    x, weights = torch.randn(8, 64), list(network.parameters())
    value = network(x).square().mean()
    found = torch.autograd.grad(value, weights, retain_graph=True)
    expected = torch.cat([gradient.flatten() for gradient in found]).norm()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert gradient_norm(value, weights) == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("target", [1e-5, 1e-4])
def test_lambda_follows_the_target_of_each_task(target):
    model = make_model(dropout=True)
    objective = make(model, weight=2.0, balance=target)
    batches = {task: task_batch(task) for task in ("c", "r")}
    rho: dict[str, list[float]] = {task: [] for task in batches}
    for _ in range(12):
        for task, batch in batches.items():
            figures = objective(batch, seed=1, measure_rho=True).figures
            rho[task].append(figures[f"smart/{task}/rho"].item())
    for task, values in rho.items():
        # Half of what is missing at every measurement: rho changes in proportion to lambda_s.
        for old, new in pairwise(values):
            assert new == pytest.approx((old + target) / 2, rel=1e-3)
        assert values[-1] == pytest.approx(target, rel=0.05)
        weight = objective(batches[task], seed=1).figures[f"smart/{task}/lambda_s"]
        assert weight / 2.0 == pytest.approx(target / values[0], rel=0.05)
    assert objective(task_batch("k"), seed=1).figures["smart/k/lambda_s"] == 2.0  # not measured


def test_the_new_weight_holds_from_the_next_call_on():
    model = make_model(dropout=True)
    objective = make(model, balance=0.5)
    first, second = (objective(task_batch("c"), seed=1, measure_rho=True) for _ in range(2))
    assert first.figures["smart/c/lambda_s"] == 1.0
    plain = make(make_model(dropout=True))(task_batch("c"), seed=1)
    assert torch.equal(first.total, plain.total)
    second.total.backward()  # the factor in its graph was not changed afterwards
    weight = second.figures["smart/c/lambda_s"]
    expected = (
        second.values["loss"]
        + weight * second.values["smoothness"]
        + 0.7 * second.values["proximal"]
    )
    torch.testing.assert_close(second.total, expected)


def test_lambda_stays_within_a_factor_of_100_and_a_batch_without_r_s_does_not_move_it():
    balance = Balance(["a", "b"], 0.1)
    for rho in (0.0, 1e6):
        balance.update("a", torch.tensor(rho))
        assert balance.factor("a") == 1
    for _ in range(20):
        balance.update("a", torch.tensor(1e-9))
        balance.update("b", torch.tensor(1e5))
    assert balance.factor("a") == 100
    assert balance.factor("b") == pytest.approx(0.01)


def test_the_factors_are_saved_and_restored():
    objective = make(make_model(dropout=True), balance=0.5)
    assert "smoothness.balance.factors" not in make(make_model(dropout=True)).terms_state()
    objective(task_batch("c"), seed=1, measure_rho=True)
    saved = {name: t.clone() for name, t in objective.terms_state().items()}
    fresh = make(make_model(dropout=True), balance=0.5)
    fresh.load_terms_state(saved)
    one, other = (o(task_batch("c"), seed=2) for o in (objective, fresh))
    assert one.figures["smart/c/lambda_s"] == other.figures["smart/c/lambda_s"] != 1.0


def test_the_first_batch_of_each_task_in_every_interval_after_warmup():
    schedule = RhoSchedule(start=3, every=4)
    tasks = "aaababbbaaaabbaa"
    due = [schedule.due(update, task) for update, task in enumerate(tasks)]
    assert [i for i, yes in enumerate(due) if yes] == [3, 4, 7, 8, 11, 12, 15]
    assert not schedule.due(15, "a")  # another batch of the same update
    resumed = RhoSchedule(start=3, every=4)
    resumed.load_state_dict(schedule.state_dict())
    assert not resumed.due(18, "a")
    assert resumed.due(18, "b")
