"""D_Breg under bfloat16 autocast against float64: value and direction of the gradient."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mt_dnn.config.smart import ProximalConfig
from mt_dnn.model import MTDNN
from mt_dnn.objective.smart import ProximalTerm
from mt_dnn.objective.step import Step
from tests.support.three_tasks import make_model, task_batch

SIZES = {"c": 1.215e-3, "r": 4.39e-3, "k": 6.74e-2}
"""Distance of each parameter from the teacher's at which D_Breg of the task is 2e-7 to 4e-7."""
CLOSE = 5e-5
"""A distance at which D_Breg of every task is below 1e-7."""


def measure(
    task: str, precision: str, size: float, *, dtype: torch.dtype = torch.float32
) -> tuple[float, Tensor]:
    """D_Breg and its gradient, (P,): in float64, or under bfloat16 autocast."""
    model: MTDNN = make_model(dropout=False).to(dtype)
    term = ProximalTerm(model, ProximalConfig(precision=precision), "smart")
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for p in model.parameters():
            p += size * torch.randn(p.shape, generator=generator).to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.float32):
        value = term.compute(Step.from_batch(model, task_batch(task), seed=1))
    parameters = list(model.parameters())
    found = torch.autograd.grad(value, parameters, allow_unused=True, materialize_grads=True)
    return value.item(), torch.cat([g.flatten().double() for g in found])


@pytest.mark.parametrize("task", SIZES)
def test_float32_finds_a_small_d_breg_and_its_direction(task):
    true, direction = measure(task, "autocast", SIZES[task], dtype=torch.float64)
    assert 1.8e-7 < true < 4.1e-7
    value, gradient = measure(task, "float32", SIZES[task])
    assert value == pytest.approx(true, rel=0.01)
    assert torch.cosine_similarity(gradient, direction, dim=0) > 0.99


@pytest.mark.parametrize("task", SIZES)
def test_autocast_does_not_find_a_smaller_one(task):
    true, _ = measure(task, "autocast", CLOSE, dtype=torch.float64)
    assert measure(task, "float32", CLOSE)[0] == pytest.approx(true, rel=0.05)
    assert measure(task, "autocast", CLOSE)[0] != pytest.approx(true, rel=0.2)


@pytest.mark.parametrize("dropout", ["shared", "off", "independent"])
@pytest.mark.parametrize(("precision", "extra"), [("float32", 1), ("autocast", 0)])
def test_float32_costs_the_student_one_pass_under_autocast_alone(
    monkeypatch, dropout, precision, extra
):
    model = make_model(dropout=True)
    term = ProximalTerm(model, ProximalConfig(precision=precision, dropout=dropout), "smart")
    passes = []
    encode = MTDNN.encode
    monkeypatch.setattr(MTDNN, "encode", lambda *a: passes.append(1) or encode(*a))
    for autocast in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            step = Step.from_batch(model, task_batch("c"), seed=1)
            passes.clear()
            value = term.compute(step)
        own = 1 if dropout == "off" else extra if autocast else 0
        assert len(passes) == 1 + own  # the teacher's, and the student's own
        assert (value == 0) == (dropout != "independent")
