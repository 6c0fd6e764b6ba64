"""D_Breg under bfloat16 autocast against float64: value and direction of the gradient."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from mt_dnn.config.smart import ProximalConfig, SmoothnessConfig
from mt_dnn.model import MTDNN
from mt_dnn.objective.smart import ProximalTerm, SmoothnessTerm
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


@pytest.mark.parametrize("space", ["words", "embedding_output"])
@pytest.mark.parametrize(
    ("changes", "passes"),
    [
        # The clean pass of R_s and D_Breg, the ascent, the perturbed pass, and the teacher's.
        ({}, 4),
        ({"dropout": "independent"}, 5),
        ({"dropout": "off"}, 5),
        ({"detach": "clean"}, 5),
    ],
)
def test_both_terms_share_a_clean_pass_in_float32(monkeypatch, space, changes, passes):
    """Their values and gradients are those of terms in steps of their own."""
    model = make_model(dropout=True)
    smooth = SmoothnessConfig(epsilon=0.01, precision="float32", space=space, **changes)
    terms = SmoothnessTerm(model, smooth, "smart"), ProximalTerm(model, preset="smart")
    with torch.no_grad():
        for p in model.parameters():
            p += 0.01
    taken = []
    encode = MTDNN.encode
    monkeypatch.setattr(MTDNN, "encode", lambda *a, **k: taken.append(1) or encode(*a, **k))

    def computed(shared: bool) -> list[Tensor]:
        found = []
        with torch.autocast("cpu", dtype=torch.bfloat16):
            step = Step.from_batch(model, task_batch("c"), seed=1)
            taken.clear()
            for term in terms:
                own = step if shared else dataclasses.replace(step, wide=[])
                found.append(term.compute(own))
        assert all(value > 0 for value in found)
        parameters = list(model.parameters())
        gradient = torch.autograd.grad(sum(found), parameters, allow_unused=True)
        return [*found, *(g for g in gradient if g is not None)]

    expected = computed(shared=False)
    assert len(taken) == 5
    found = computed(shared=True)
    assert len(taken) == passes
    torch.testing.assert_close(found[:2], expected[:2], rtol=0, atol=0)
    torch.testing.assert_close(found[2:], expected[2:], rtol=1e-4, atol=1e-7)
