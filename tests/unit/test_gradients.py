"""Gradients of several tasks, combined before the optimizer's step."""

from __future__ import annotations

import torch
from torch import nn

from mt_dnn.training.gradients import Gradients, TaskGradients, sum_gradients


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


def test_norms_are_those_of_each_tasks_own_gradient():
    shared = parameters()
    collected = TaskGradients(shared, sum_gradients)
    for task, loss in (("a", loss_a), ("b", loss_b), ("a", loss_a)):
        loss(shared).backward()
        collected.take(task)
    norms = collected.put(seed=0, measure=True)
    assert norms == {"a": torch.tensor(8.0).sqrt(), "b": torch.tensor(5.0).sqrt()}
    loss_a(shared).backward()
    collected.take("a")
    assert collected.put(seed=0) == {}


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


def test_the_sum_is_plain_accumulation():
    shared, plain = parameters(), parameters()
    collected = TaskGradients(shared, sum_gradients)
    for task, loss in (("a", loss_a), ("b", loss_b)):
        loss(shared).backward()
        collected.take(task)
        loss(plain).backward()
    collected.put(seed=0)
    for mine, theirs in zip(shared, plain, strict=True):
        assert torch.equal(mine.grad, theirs.grad)
