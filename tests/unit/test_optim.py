"""Groups of parameters, and update rules against their formulas."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import cast

import pytest
import torch
from torch import nn

from data_utils.errors import UserError
from mt_dnn.config.run import ModelConfig, OptimConfig, RunConfig
from mt_dnn.model import MTDNN
from mt_dnn.objective.objective import Objective
from mt_dnn.training.optim import (
    build_optimizer,
    freeze,
    group_rates,
    parameter_groups,
    set_learning_rate,
)
from tests.support.encoders import tiny_encoder
from tests.support.tasks import make_task


@pytest.fixture
def model() -> MTDNN:
    tasks = {name: make_task(name=name, n_class=2) for name in "ab"}
    return MTDNN(tiny_encoder(), tasks, ModelConfig())


def optimizer_of(model: nn.Module, config: OptimConfig) -> torch.optim.Optimizer:
    """The optimizer of an objective that has this model and no loss terms with parameters."""
    objective = SimpleNamespace(model=model, terms=nn.ModuleList())
    return build_optimizer(cast(Objective, objective), RunConfig(optim=config))


def settings_of(model: MTDNN, config: OptimConfig) -> dict[str, tuple[float, float]]:
    """Parameter name -> its learning rate and weight decay."""
    return {
        name: (group["lr"], group["weight_decay"])
        for group in parameter_groups(model, config)
        for name, _ in group["params"]
    }


def test_only_matrices_decay(model):
    found = settings_of(model, OptimConfig(weight_decay=0.1))
    for name, parameter in model.named_parameters():
        is_vector = name.endswith("bias") or "LayerNorm" in name
        assert parameter.ndim == (1 if is_vector else 2), name
        assert found[name][1] == (0.0 if is_vector else 0.1), name


def test_every_parameter_is_in_one_group(model):
    groups = parameter_groups(model, OptimConfig(layer_decay=0.5, head_lr=1.0))
    members = [id(p) for group in groups for _, p in group["params"]]
    assert sorted(members) == sorted(id(p) for p in model.parameters())


def test_heads_have_their_own_rate(model):
    found = settings_of(model, OptimConfig(lr=1e-4, head_lr=1e-2))
    assert {found[n][0] for n in found if n.startswith("heads.")} == {1e-2}
    assert {found[n][0] for n in found if n.startswith("encoder.")} == {1e-4}
    assert {lr for lr, _ in settings_of(model, OptimConfig(lr=1e-4)).values()} == {1e-4}


def test_the_rate_of_each_group_is_logged_by_name_where_they_differ(model):
    def rates(config: OptimConfig) -> dict[str, float]:
        optimizer = optimizer_of(model, config)
        set_learning_rate(optimizer, 0.5)
        return group_rates(optimizer)

    assert rates(OptimConfig(lr=1e-4)) == {}
    assert rates(OptimConfig(lr=1e-4, head_lr=1e-2)) == {
        "train/lr/encoder": 0.5e-4,
        "train/lr/heads": 0.5e-2,
    }
    assert rates(OptimConfig(lr=1.0, layer_decay=0.5)) == {
        "train/lr/embeddings": 0.0625,
        "train/lr/layer_1": 0.125,
        "train/lr/layer_2": 0.25,
        "train/lr/heads": 0.5,
    }
    plain = torch.optim.SGD([{"params": [p], "lr": p.numel()} for p in model.parameters()])
    assert "train/lr/group_0" in group_rates(plain)


def test_the_rate_falls_by_layer_decay_from_each_layer_to_the_one_below(model):
    """2 layers: heads lr, layer 2 lr d, layer 1 lr d^2, embeddings lr d^3."""
    found = settings_of(model, OptimConfig(lr=1.0, layer_decay=0.5))
    for name, (lr, _) in found.items():
        if name.startswith("heads."):
            expected = 1.0
        elif "layer.1." in name:
            expected = 0.5
        elif "layer.0." in name:
            expected = 0.25
        else:
            assert "embeddings" in name
            expected = 0.125
        assert lr == expected, name


def test_freezing_takes_what_the_patterns_match_out_of_the_optimizer(model):
    count = freeze(model, ("encoder.*embeddings*", "heads.b.*"))
    frozen = {n: p for n, p in model.named_parameters() if not p.requires_grad}
    assert frozen.keys() == {
        n for n, _ in model.named_parameters() if "embeddings" in n or n.startswith("heads.b.")
    }
    assert count == sum(p.numel() for p in frozen.values())
    assert not frozen.keys() & settings_of(model, OptimConfig()).keys()


def test_a_pattern_that_matches_nothing_is_an_error(model):
    with pytest.raises(UserError, match=r"optim\.freeze: 'encodr\.\*' matches no parameter"):
        freeze(model, ("encodr.*",))


def test_freezing_everything_is_an_error(model):
    freeze(model, ("*",))
    with pytest.raises(UserError, match="all parameters are frozen"):
        optimizer_of(model, OptimConfig())


@pytest.mark.parametrize("lr", [0.0, -1.0, math.nan])
def test_a_rate_that_is_not_positive_is_an_error(model, lr):
    with pytest.raises(UserError, match=r"optim\.lr"):
        optimizer_of(model, OptimConfig(lr=lr))


class Small(nn.Module):
    """One matrix, which decays, and one vector, which does not; no encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.Linear(3, 2)
        self.encoder = SimpleNamespace(num_layers=0)


def adam_terms(g, m, v, t, b1, b2):
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * g**2
    return m, v, m / (1 - b1**t), v / (1 - b2**t)


def reference(name: str, theta, grads, *, lr, decay, betas, eps):
    """The update rules in float64, decay decoupled (arXiv 1412.6980, 1908.03265, 1711.05101)."""
    b1, b2 = betas
    theta, m, v = theta.double(), 0.0, 0.0
    for t, g in enumerate(grads, start=1):
        g = g.double()
        theta = theta * (1 - lr * decay)
        if name == "adamax":
            m = b1 * m + (1 - b1) * g
            v = torch.maximum(b2 * torch.as_tensor(v), g.abs() + eps)
            theta = theta - lr / (1 - b1**t) * m / v
            continue
        m, v, m_hat, v_hat = adam_terms(g, m, v, t, b1, b2)
        if name == "adamw":
            theta = theta - lr * m_hat / (v_hat.sqrt() + eps)
            continue
        rho_inf = 2 / (1 - b2) - 1
        rho = rho_inf - 2 * t * b2**t / (1 - b2**t)
        if rho > 5:
            r = math.sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho))
            theta = theta - lr * m_hat * r * math.sqrt(1 - b2**t) / (v.sqrt() + eps)
        else:
            theta = theta - lr * m_hat
    return theta


@pytest.mark.parametrize("name", ["adamw", "adamax", "radam"])
def test_updates_follow_the_formula_with_decoupled_decay(name):
    torch.manual_seed(0)
    model = Small()
    # b2 so small that RAdam passes from its warmup to its adaptive phase within the test.
    config = OptimConfig(
        name=name, lr=0.05, weight_decay=0.3, betas=(0.8, 0.9), eps=1e-6, head_lr=None
    )
    optimizer = optimizer_of(model, config)
    start = {n: p.detach().clone() for n, p in model.named_parameters()}
    grads: dict[str, list[torch.Tensor]] = {n: [] for n in start}
    for _ in range(12):
        for n, p in model.named_parameters():
            p.grad = torch.randn_like(p)
            grads[n].append(p.grad.clone())
        optimizer.step()
    for n, p in model.named_parameters():
        decay = 0.3 if p.ndim > 1 else 0.0
        expected = reference(
            name, start[n], grads[n], lr=0.05, decay=decay, betas=(0.8, 0.9), eps=1e-6
        )
        torch.testing.assert_close(p.detach().double(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["adamw", "adamax", "radam"])
def test_a_head_without_gradient_stays_as_it_is(model, name):
    """Neither decay nor the momentum of earlier steps moves it."""
    optimizer = optimizer_of(model, OptimConfig(name=name, lr=0.1, weight_decay=0.5))
    a, b = (model.heads[task].output.weight for task in "ab")
    for weight in (a, b):
        weight.grad = torch.ones_like(weight)
    optimizer.step()
    optimizer.zero_grad()
    before, a_before = b.detach().clone(), a.detach().clone()
    for _ in range(2):
        a.grad = torch.ones_like(a)
        optimizer.step()
        optimizer.zero_grad()
    assert torch.equal(b, before)
    assert not torch.equal(a, a_before)


def test_the_rate_is_set_relative_to_each_groups_peak(model):
    optimizer = optimizer_of(model, OptimConfig(lr=1e-3, head_lr=1e-1))
    for factor in (0.5, 0.25):
        set_learning_rate(optimizer, factor)
        assert {g["lr"] for g in optimizer.param_groups} == {1e-3 * factor, 1e-1 * factor}


def test_sgd_follows_the_formula_with_momentum_and_decoupled_decay():
    torch.manual_seed(0)
    model = Small()
    config = OptimConfig(name="sgd", lr=0.1, weight_decay=0.3, options={"momentum": 0.9})
    optimizer = optimizer_of(model, config)
    weight, bias = (p.detach().clone().double() for p in model.heads.parameters())
    buffers = [0.0, 0.0]
    for seed in range(4):
        for index, (parameter, expected) in enumerate(
            zip(model.heads.parameters(), (weight, bias), strict=True)
        ):
            parameter.grad = torch.randn(
                parameter.shape, generator=torch.Generator().manual_seed(seed)
            )
            buffers[index] = 0.9 * buffers[index] + parameter.grad.double()
            expected *= 1 - 0.1 * (0.3 if parameter.ndim > 1 else 0.0)
            expected -= 0.1 * buffers[index]
        optimizer.step()
    for parameter, expected in zip(model.heads.parameters(), (weight, bias), strict=True):
        torch.testing.assert_close(parameter.detach().double(), expected, rtol=1e-5, atol=1e-6)
