"""The perturbation of the smoothness term, taken out to be looked at."""

from __future__ import annotations

import pytest
import torch

from data_utils.errors import UserError
from mt_dnn.config.bounds import resolve_config
from mt_dnn.config.run import RunConfig
from mt_dnn.config.smart import ProximalConfig, SmoothnessConfig
from mt_dnn.divergences import Output, bernoulli_symmetric_kl, fits, symmetric_kl
from mt_dnn.objective.smart import ProximalTerm, SmoothnessTerm
from mt_dnn.objective.step import Step
from mt_dnn.registries import DIVERGENCES
from tests.support.batches import make_batch
from tests.support.tasks import make_kind
from tests.support.three_tasks import make_model, task_batch


@pytest.mark.parametrize("dropout", ["shared", "independent", "off"])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_term_is_the_divergence_at_its_perturbation(dropout, norm):
    model = make_model(dropout=True)
    batch = task_batch("c")
    term = SmoothnessTerm(
        model, SmoothnessConfig(dropout=dropout, norm=norm, epsilon=1e-2), "smart"
    )

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


def test_the_tasks_that_keep_their_own_divergence_are_named():
    model = make_model(dropout=False)
    term = SmoothnessTerm(model, SmoothnessConfig(divergence="js"), "smart")
    assert term.notes() == [
        "smoothness.divergence js: r: squared_error, because js does not fit a number"
    ]
    term = SmoothnessTerm(model, SmoothnessConfig(divergence="bernoulli_js"), "smart")
    assert len(term.notes()) == 1  # c and k compare by js
    assert SmoothnessTerm(model, SmoothnessConfig(), "smart").notes() == []
    assert (
        SmoothnessTerm(model, SmoothnessConfig(divergence="squared_error"), "smart").notes() == []
    )


def test_a_plugins_form_for_labels_is_used(registries):
    """A divergence of classes and its form for labels, registered from outside."""

    @DIVERGENCES.register("halved")
    def halved(p, q, *, dim=-1, mask=None):
        return symmetric_kl(p, q, dim=dim, mask=mask) / 2

    @DIVERGENCES.register("halved_of_labels")
    @fits(Output.LABELS, of="halved")
    def halved_of_labels(p, q, *, dim=-1, mask=None):
        return bernoulli_symmetric_kl(p, q, dim=dim, mask=mask) / 2

    kind = make_kind("MultiLabel")
    p, q = torch.tensor([[0.0, 1.0, 2.0]]), torch.tensor([[1.0, 0.0, 0.0]])
    batch = make_batch([4])
    own = kind.divergence(p, q, batch)
    torch.testing.assert_close(kind.divergence(p, q, batch, name="halved"), own / 2)
    assert make_kind("Classification").form_of_divergence("halved_of_labels") == "halved"
    assert make_kind("Regression").form_of_divergence("halved") is None


def test_a_section_that_does_not_know_its_preset_is_refused():
    model = make_model(dropout=False)
    config = RunConfig(smart="r3f", proximal=ProximalConfig(weight=0.5))
    for build, section in ((SmoothnessTerm, config.smoothness), (ProximalTerm, config.proximal)):
        with pytest.raises(UserError, match=r" is None, and a section does not know its preset"):
            build(model, section)  # it would silently take the numbers of the preset smart
    resolved = resolve_config(config)
    assert SmoothnessTerm(model, resolved.smoothness).config.ascent == "none"
    assert SmoothnessTerm(model, config.smoothness, "r3f").config.ascent == "none"
    assert SmoothnessTerm(model).config.ascent == "projected"
    assert ProximalTerm(model, resolved.proximal).config.weight == 0.5
    assert ProximalTerm(model, config.proximal, preset="smart").config.teacher == "mbpp"
    with pytest.raises(UserError, match="unknown preset 'r4f'"):
        SmoothnessTerm(model, config.smoothness, "r4f")
