"""Gradients of several tasks, combined before the optimizer's step."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from data_utils.errors import UserError
from mt_dnn.config.run import OptimConfig
from mt_dnn.training.gradients import (
    CHUNK,
    Gradients,
    TaskGradients,
    build_combination,
    collect_gradients,
    sum_gradients,
)


def parameters() -> list[nn.Parameter]:
    return [nn.Parameter(torch.tensor([1.0, 2.0])), nn.Parameter(torch.tensor([[3.0]]))]


def loss_a(shared: list[nn.Parameter]) -> torch.Tensor:
    return (shared[0] * torch.tensor([1.0, 0.0])).sum() + shared[1].sum()


def loss_b(shared: list[nn.Parameter]) -> torch.Tensor:
    return (shared[0] * torch.tensor([-1.0, 2.0])).sum()


def test_the_combination_gets_one_row_per_task_and_its_result_is_the_gradient():
    shared = parameters()
    seen: list[Gradients] = []

    def minus(gradients: Gradients) -> torch.Tensor:
        seen.append(gradients)
        return gradients.values[0] - gradients.values[1]

    collected = TaskGradients(shared, minus)
    for task, loss in (("a", loss_a), ("b", loss_b), ("a", loss_a)):
        loss(shared).backward()
        collected.take(task)
        assert all(p.grad is None for p in shared)
    collected.put(seed=7)
    (gradients,) = seen
    assert gradients.tasks == ("a", "b")
    assert gradients.seed == 7
    assert gradients.values.tolist() == [[2.0, 0.0, 2.0], [-1.0, 2.0, 0.0]]
    assert shared[0].grad.tolist() == [3.0, -2.0]
    assert shared[1].grad.tolist() == [[2.0]]


def test_norms_and_cosines_are_those_of_each_tasks_own_gradient():
    shared = parameters()
    collected = TaskGradients(shared, sum_gradients)
    for task, loss in (("b", loss_b), ("a", loss_a), ("a", loss_a)):  # a: 2, 0, 2; b: -1, 2, 0
        loss(shared).backward()
        collected.take(task)
    figures = {tag: float(value) for tag, value in collected.put(seed=0).items()}
    assert figures == pytest.approx(
        {
            "train/a/grad_norm": 8**0.5,
            "train/b/grad_norm": 5**0.5,
            "train/cosine/a/b": -2 / 40**0.5,  # the names in alphabetical order
            "train/conflicts": 1.0,
        }
    )
    loss_a(shared).backward()
    collected.take("a")
    assert collected.put(seed=0, scaled=True) == {}


def test_the_gramian_of_long_rows_is_that_of_float64():
    generator = torch.Generator().manual_seed(1)
    rows = 1000 + torch.randn(3, CHUNK + 7, generator=generator)
    exact = rows.double() @ rows.double().T
    torch.testing.assert_close(Gradients((*rows,), ("a", "b", "c"), 0).gramian, exact)


def test_a_gradient_of_zero_has_cosine_0():
    gradients = Gradients((torch.tensor([1.0, 2.0]), torch.zeros(2)), ("a", "b"), 0)
    assert gradients.cosines() == {("a", "b"): 0.0}


def test_the_next_update_begins_anew():
    shared = parameters()
    collected = TaskGradients(shared, sum_gradients)
    for _ in range(2):
        loss_b(shared).backward()
        collected.take("b")
        collected.put(seed=0)
        assert shared[0].grad.tolist() == [-1.0, 2.0]
        for parameter in shared:
            parameter.grad = None


def test_without_a_combination_the_sum_is_that_of_plain_accumulation_to_the_last_bit():
    def loss(shared: list[nn.Parameter], index: int) -> torch.Tensor:
        return (shared[0] / (3 + index)).sin().sum() + (shared[1] * 0.1**index).exp().sum()

    shared, plain = parameters(), parameters()
    collected = TaskGradients(shared, None)
    for index, task in enumerate("abacba"):
        loss(shared, index).backward()
        collected.take(task)
        loss(plain, index).backward()
    collected.put(seed=0)
    for mine, theirs in zip(shared, plain, strict=True):
        assert torch.equal(mine.grad, theirs.grad)


def test_a_parameter_without_gradient_stays_without():
    """An optimizer skips it; a gradient of 0 would let weight decay act."""
    for combine in (None, sum_gradients):
        shared = parameters()
        collected = TaskGradients(shared, combine)
        loss_b(shared).backward()  # does not use the second parameter
        collected.take("b")
        collected.put(seed=0)
        assert shared[0].grad is not None
        assert shared[1].grad is None


def test_a_sum_that_nobody_compares_collects_nothing():
    layer = nn.Linear(2, 1)
    assert build_combination(OptimConfig()) is None
    assert collect_gradients(layer, None, compared=False) is None
    assert collect_gradients(layer, None, compared=True) is not None


def test_an_encoder_that_is_frozen_has_no_gradients_to_combine():
    with pytest.raises(UserError, match=r"optim.combine: optim.freeze leaves no parameter"):
        collect_gradients(nn.Linear(2, 1).requires_grad_(False), sum_gradients, compared=False)
