"""D_Breg and its teacher against tests/reference, in float64: values and gradients."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from mt_dnn.config.smart import ProximalConfig
from mt_dnn.model import MTDNN
from mt_dnn.objective.smart import ProximalTerm
from mt_dnn.objective.step import Step
from tests.reference import proximal
from tests.support.float64 import (
    TYPES,
    assert_same_gradients,
    gradients,
    l_s,
    same,
)


def trained(model: MTDNN, config: ProximalConfig, total: int) -> tuple[ProximalTerm, list]:
    """A term after 5 updates of its model, and the model's weights before and after each."""
    term, thetas = ProximalTerm(model, config, "smart"), [weights(model)]
    for update in range(1, 6):
        move(model, update)
        term.after_update(update, total)
        thetas.append(weights(model))
    return term, thetas


@pytest.mark.parametrize("teacher", ["mbpp", "vbpp"])
def test_the_teacher_of_d_breg(build, teacher):
    model, _ = build("Classification")
    config = ProximalConfig(teacher=teacher, steps=2, beta=0.7, beta_late=0.9)
    term, thetas = trained(model, config, 20)
    # beta_switch is a tenth of the run: two updates.
    assert [proximal.momentum(n, 20, 0.7, 0.9, 0.1) for n in range(1, 6)] == [0.7] * 2 + [0.9] * 3
    betas = [proximal.momentum(n, 20, 0.7, 0.9, term.config.beta_switch) for n in range(1, 6)]
    expected = proximal.teachers(thetas, 2, betas, teacher == "vbpp")[-1]
    for name, value in term.teacher.state_dict().items():
        assert same(value, expected[name], 1e-12), name


def test_the_teacher_that_averages_over_a_part_of_the_run(build):
    model, _ = build("Classification")
    term, thetas = trained(model, ProximalConfig(horizon=0.15), 20)
    betas = [proximal.horizon_momentum(n, 20, 1, 0.15) for n in range(1, 6)]
    assert betas == pytest.approx([1 / 2, 2 / 3, 2 / 3, 2 / 3, 2 / 3])
    expected = proximal.teachers(thetas, 1, betas, False)[-1]
    for name, value in term.teacher.state_dict().items():
        assert same(value, expected[name], 1e-12), name


@pytest.mark.parametrize("task_type", TYPES)
@pytest.mark.parametrize("dropout", ["shared", "off", "independent"])
def test_d_breg_of_every_type_and_dropout(build, task_type, dropout):
    model, batch = build(task_type)
    config = ProximalConfig(beta=0.7, beta_late=0.9, dropout=dropout)
    term, thetas = trained(model, config, 20)
    theta_tilde = proximal.teachers(thetas, 1, [0.7, 0.7, 0.9, 0.9, 0.9], False)[-1]
    step, twin = (Step.from_batch(model, batch, seed=7) for _ in range(2))
    other = copy.deepcopy(model)
    other.load_state_dict(theta_tilde, strict=False)
    if dropout != "shared":
        other.eval()
    with torch.no_grad():  # the seed of the step gives the masks of the clean pass
        teacher = Step.from_batch(other, batch, seed=7).logits
    student = twin.forward(twin.embeds, dropout="off") if dropout == "off" else twin.logits
    expected = proximal.d_breg(student, teacher, l_s(task_type, batch, None))
    value = term.compute(step)
    assert value > 0
    assert same(value, expected)
    assert_same_gradients(
        gradients(value, model, step.embeds), gradients(expected, model, twin.embeds), 1e-10
    )


def weights(model: MTDNN) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def move(model: MTDNN, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p += 0.05 * torch.randn(p.shape, generator=generator, dtype=p.dtype)
