"""What a step offers to a loss term: its passes, their dropout, generators."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from mt_dnn.config.smart import SmoothnessConfig
from mt_dnn.objective.objective import Objective
from mt_dnn.objective.smart import SmoothnessTerm
from mt_dnn.objective.step import Step
from mt_dnn.objective.supervised import SupervisedTerm
from mt_dnn.objective.terms import LossTerm
from tests.support.three_tasks import KINDS, make_model, task_batch


class HiddenVAT(LossTerm):
    """Virtual adversarial training on hidden states: Miyato et al. 2018, arXiv 1704.03976, eq. 5."""

    tag = "vat"

    def __init__(self, radius: float, dropout: Any = "shared") -> None:
        super().__init__()
        self.radius, self.dropout = radius, dropout

    def compute(self, step: Step) -> Tensor:
        hidden, clean = step.hidden.detach(), step.logits.detach()
        delta = torch.randn(hidden.shape, generator=step.generator()) * 1e-3
        delta.requires_grad_()
        logits = step.head(hidden + delta, dropout=self.dropout)
        (gradient,) = torch.autograd.grad(step.divergence(logits, clean), delta)
        delta = self.radius * gradient / gradient.norm().clamp(min=1e-12)
        return step.divergence(step.head(step.hidden + delta, dropout=self.dropout), clean)


@pytest.mark.parametrize("task", KINDS)
def test_a_step_repeats_its_clean_pass_under_shared_dropout(task):
    step = Step.from_batch(make_model(dropout=True), task_batch(task), seed=3)
    state = torch.get_rng_state()
    assert torch.equal(step.forward(step.embeds), step.logits)
    assert torch.equal(step.head(step.hidden), step.logits)
    assert not torch.equal(step.head(step.hidden, dropout="off"), step.logits)
    passes = [step.forward(step.embeds, dropout="independent") for _ in range(2)]
    passes += [step.head(step.hidden, dropout="independent") for _ in range(2)]
    for index, logits in enumerate([step.logits, *passes]):
        assert not any(torch.equal(logits, other) for other in passes[index:])
    off = step.forward(step.embeds, dropout="off")
    assert torch.equal(off, step.forward(step.embeds, dropout="off"))
    assert torch.equal(torch.get_rng_state(), state)
    assert step.model.training


@pytest.mark.parametrize("task", KINDS)
def test_vat_on_hidden_states_needs_the_step_alone(task):
    model = make_model(dropout=True)

    def value(radius: float, seed: int = 1) -> Tensor:
        terms = Objective(model, [SupervisedTerm(), HiddenVAT(radius)])
        return terms(task_batch(task), seed=seed).values["vat"]

    assert value(0.0) == 0.0
    assert 0 < value(0.1) < value(1.0)
    assert torch.equal(value(0.1), value(0.1))
    assert not torch.equal(value(0.1), value(0.1, seed=2))
    (gradient,) = torch.autograd.grad(value(0.1), next(model.heads[task].parameters()))
    assert gradient.any()


def test_generators_differ_between_terms_and_steps():
    model, batch = make_model(dropout=False), task_batch("c")

    def seed_of(term: LossTerm, seed: int, place: int | None = None) -> int:
        step = Step.from_batch(model, batch, seed=seed).of(term)
        return step.generator(place).initial_seed()

    one, other = HiddenVAT(0.1), Careless()
    assert len({seed_of(one, 1), seed_of(other, 1), seed_of(one, 2), seed_of(one, 1, 5)}) == 4
    assert seed_of(one, 1) == seed_of(one, 1)


class Careless(LossTerm):
    """Draws from torch's global generator."""

    tag = "noise"

    def compute(self, step: Step) -> Tensor:
        return torch.rand(()) + 0 * step.logits.sum()


def test_global_random_numbers_of_a_term_are_a_function_of_the_seed():
    whole = Objective(make_model(dropout=False), [SupervisedTerm(), Careless()])
    first = whole(task_batch("c"), seed=1).values["noise"]
    torch.rand(3)
    assert torch.equal(whole(task_batch("c"), seed=1).values["noise"], first)
    assert not torch.equal(whole(task_batch("c"), seed=2).values["noise"], first)


def test_a_term_can_be_computed_by_itself():
    model = make_model(dropout=True)
    large = SmoothnessConfig(epsilon=0.1, step_size=0.1, sigma=0.05)
    term = SmoothnessTerm(model, large, "smart")
    step = Step.from_batch(model, task_batch("c"), seed=1, measure=True)
    value = term.compute(step.of(term))
    whole = Objective(model, [SupervisedTerm(), term])(task_batch("c"), seed=1, measure=True)
    assert torch.equal(value, whole.values["smoothness"])
    assert step.figures["smart/c/gain"] == whole.figures["smart/c/gain"]
