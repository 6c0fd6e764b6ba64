"""The perturbation of the smoothness term, taken out to be looked at."""

from __future__ import annotations

import pytest
import torch

from mt_dnn.config.smart import SmoothnessConfig
from mt_dnn.objective.smart import SmoothnessTerm
from mt_dnn.objective.terms import Step
from tests.support.three_tasks import make_model, task_batch


@pytest.mark.parametrize("dropout", ["shared", "independent", "off"])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_term_is_the_divergence_at_its_perturbation(dropout, norm):
    model = make_model(dropout=True)
    batch = task_batch("c")
    term = SmoothnessTerm(model, SmoothnessConfig(dropout=dropout, norm=norm, epsilon=1e-2))

    def fresh() -> Step:
        return Step.from_batch(model, batch, seed=3)

    step = fresh()
    delta = term.perturbation(step)
    clean = step.forward(step.embeds, dropout="off") if dropout == "off" else step.logits
    value = step.divergence(step.forward(step.embeds + delta, dropout=dropout), clean)
    torch.testing.assert_close(value, term.compute(fresh()), rtol=1e-4, atol=0)
    assert not delta.requires_grad
    assert not delta[~batch.attention_mask.bool()].any()
    assert not torch.equal(delta, term.perturbation(Step.from_batch(model, batch, seed=4)))
