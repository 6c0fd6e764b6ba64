"""Two optimizers as one: each with its own parameters, saved and restored together."""

from __future__ import annotations

import copy

import pytest
import torch

from mt_dnn.config.run import ModelConfig, OptimConfig
from mt_dnn.model import MTDNN
from mt_dnn.training.optim import parameter_groups, set_learning_rate
from mt_dnn.training.optimizers import CombinedOptimizer, split_groups
from tests.support.encoders import tiny_encoder
from tests.support.tasks import make_task


@pytest.fixture
def model() -> MTDNN:
    tasks = {name: make_task(name=name, n_class=2) for name in "ab"}
    return MTDNN(tiny_encoder(), tasks, ModelConfig())


def muon_and_adamw(model: MTDNN, lr: float = 1e-2) -> CombinedOptimizer:
    matrices, others = split_groups(
        parameter_groups(model, OptimConfig(lr=lr)),
        lambda name, p: p.ndim == 2 and name.startswith("encoder.") and "embed" not in name,
    )
    return CombinedOptimizer([torch.optim.Muon(matrices), torch.optim.AdamW(others)])


def give_gradients(model: MTDNN, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


def test_two_optimizers_step_as_if_each_were_alone(model):
    together, apart = model, copy.deepcopy(model)
    combined = muon_and_adamw(together)
    muon, adamw = muon_and_adamw(apart).optimizers
    for seed in range(3):
        give_gradients(together, seed)
        give_gradients(apart, seed)
        set_learning_rate(combined, 0.5)
        for optimizer in (muon, adamw):
            set_learning_rate(optimizer, 0.5)
        combined.step()
        muon.step()
        adamw.step()
    for mine, theirs in zip(together.parameters(), apart.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_splitting_keeps_every_parameter_and_its_settings(model):
    groups = parameter_groups(model, OptimConfig(layer_decay=0.5))
    matrices, others = split_groups(groups, lambda name, p: p.ndim == 2)
    assert all(p.ndim == 2 for group in matrices for _, p in group["params"])
    assert all(p.ndim != 2 for group in others for _, p in group["params"])

    def settings(groups: list) -> dict[str, tuple[float, float]]:
        return {n: (g["peak_lr"], g["weight_decay"]) for g in groups for n, _ in g["params"]}

    assert settings(matrices) | settings(others) == settings(groups)


def test_the_state_of_two_optimizers_is_restored(model):
    first, second = model, copy.deepcopy(model)
    one = muon_and_adamw(first)
    for seed in range(2):
        give_gradients(first, seed)
        one.step()
    second.load_state_dict(first.state_dict())
    other = muon_and_adamw(second)
    other.load_state_dict(copy.deepcopy(one.state_dict()))  # torch shares equal tensors
    give_gradients(first, 9)
    give_gradients(second, 9)
    for optimizer in (one, other):
        set_learning_rate(optimizer, 0.3)
        optimizer.step()
    for mine, theirs in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    numbers = [index for group in one.state_dict()["param_groups"] for index in group["params"]]
    assert numbers == list(range(len(list(model.parameters()))))


def test_a_parameter_belongs_to_one_optimizer(model):
    groups = parameter_groups(model, OptimConfig())
    with pytest.raises(ValueError, match="more than one parameter group"):
        CombinedOptimizer([torch.optim.AdamW(groups), torch.optim.SGD(groups, lr=1.0)])
