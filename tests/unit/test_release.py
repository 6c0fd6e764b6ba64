"""The preset mtdnn_release, value and gradient, against tests/reference/release.py in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from data_utils.collator import IGNORE, Batch
from mt_dnn.config.presets import resolve
from mt_dnn.config.run import ModelConfig
from mt_dnn.config.smart import ProximalConfig, SmoothnessConfig
from mt_dnn.model import MTDNN
from mt_dnn.objective.smart import SmoothnessTerm
from mt_dnn.objective.step import Step
from tests.reference import release
from tests.support.batches import make_batch
from tests.support.encoders import VOCAB, tiny_encoder
from tests.support.tasks import make_task
from tests.support.three_tasks import make_model, task_batch


def words_model() -> MTDNN:
    """Labels of words, without dropout."""
    torch.manual_seed(3)
    task = make_task("SequenceLabeling", name="w", n_class=4)
    return MTDNN(tiny_encoder(), {"w": task}, ModelConfig(dropout=0.0)).eval()


def words_batch() -> Batch:
    """9 labelled words in 3 sequences."""
    labels = torch.full((3, 6), IGNORE)
    labels[0, :6], labels[1, :2], labels[2, 3] = 1, 0, 2
    return make_batch([6, 4, 5], ids=(1, VOCAB), labels=labels, task="w")


CASES = {
    "c": (lambda: make_model(dropout=False), lambda: task_batch("c"), 3),
    "k": (lambda: make_model(dropout=False), lambda: task_batch("k"), 3),  # in 5 sequences
    "w": (words_model, words_batch, 9),
}


def awake(model: MTDNN) -> MTDNN:
    """In float64, with heads that react to the perturbation as trained ones do."""
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in model.heads.parameters():
            parameter.normal_(0, 0.5, generator=generator)
    return model.double()


def units_of(logits: Tensor, batch: Batch) -> list[Tensor]:
    """The logits of every unit: an example, an example's candidates, or a labelled word."""
    if logits.dim() == 3:
        return list(logits[batch.labels != IGNORE])
    if batch.candidate_mask is None:
        return list(logits)
    return [row[own] for row, own in zip(logits, batch.candidate_mask, strict=True)]


def parts_of(model: MTDNN, batch: Batch):
    """What enters the first layer, and what comes after it, from BERT's own modules."""
    bert = model.encoder.model
    ids, mask = batch.input_ids, batch.attention_mask
    x = bert.embeddings(input_ids=ids)
    keys = torch.zeros(len(ids), 1, 1, ids.shape[1], dtype=x.dtype)
    keys = keys.masked_fill(mask[:, None, None] == 0, torch.finfo(x.dtype).min)

    def layers(moved: Tensor) -> list[Tensor]:
        hidden = bert.encoder(moved, attention_mask=keys).last_hidden_state
        return units_of(model.head(batch)(hidden, batch), batch)

    return x, layers


def gradients(model: MTDNN, value: Tensor) -> list[Tensor | None]:
    return list(
        torch.autograd.grad(value, list(model.parameters()), retain_graph=True, allow_unused=True)
    )


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("eta", [1e-5, 1e-3, 1.0])
@pytest.mark.parametrize("task", CASES)
def test_the_preset_is_the_released_formulas(task, eta, steps):
    make, make_some, count = CASES[task]
    model, batch = awake(make()), make_some()
    if task == "w":
        model.encoder.model.set_attn_implementation("eager")
    settings = SmoothnessConfig(step_size=eta, steps=steps)
    config, _ = resolve("mtdnn_release", settings, ProximalConfig())
    term = SmoothnessTerm(model, config)
    step = Step.from_batch(model, batch, seed=5)
    found = term.compute(step.of(term))

    x, layers = parts_of(model, batch)
    nu = torch.zeros_like(x).normal_(0, 1e-5, generator=step.generator(1))
    clean = layers(x)
    assert len(clean) == count
    expected = release.r_s(layers, x, clean, nu, batch.attention_mask, eta=eta, steps=steps)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=0)
    assert found > 1e-4
    pairs = zip(gradients(model, found), gradients(model, expected), strict=True)
    for (name, _), (mine, theirs) in zip(model.named_parameters(), pairs, strict=True):
        mine, theirs = (torch.zeros(()) if g is None else g for g in (mine, theirs))
        assert torch.allclose(mine, theirs, rtol=1e-9, atol=1e-10), name


@pytest.mark.parametrize("task", CASES)
def test_the_ascent_follows_the_sum_over_units(task):
    """3 examples in 5 sequences, 9 labelled words in 3: a step as long as the noise shows the factor."""
    make, make_some, count = CASES[task]
    model, batch = awake(make()), make_some()
    step = Step.from_batch(model, batch, seed=5)
    x, layers = parts_of(model, batch)
    mask = batch.attention_mask
    nu = torch.zeros_like(x).normal_(0, 1e-5, generator=step.generator(1)) * mask[..., None]
    clean = [logits.detach() for logits in layers(x)]
    at = nu.clone().requires_grad_()
    total = sum(map(release.symmetric_kl, layers(x.detach() + at), clean))
    eta = float(nu.norm() / torch.autograd.grad(total, at)[0].norm())

    settings = SmoothnessConfig(step_size=eta, dropout="shared")
    config, _ = resolve("mtdnn_release", settings, ProximalConfig())
    found = SmoothnessTerm(model, config).perturbation(step)
    expected = release.perturbation(layers, x, clean, nu, mask, eta=eta, steps=1)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-8)
    assert model.task_types[task].units(batch) == count
    wrong = eta * len(batch.input_ids) / count
    if wrong != eta:
        other = release.perturbation(layers, x, clean, nu, mask, eta=wrong, steps=1)
        assert (other - expected).abs().max() > 0.1


def test_a_number_has_halves_too():
    """(p - q)^2 is the symmetric KL of two normals of variance 1: each KL is half of it."""
    model, batch = awake(make_model(dropout=False)), task_batch("r")
    config, _ = resolve("mtdnn_release", SmoothnessConfig(), ProximalConfig())
    term = SmoothnessTerm(model, config)
    step = Step.from_batch(model, batch, seed=5)
    found = term.compute(step.of(term))
    delta = term.perturbation(Step.from_batch(model, batch, seed=5))
    p = step.forward(step.embeds, shift=delta)
    q = step.forward(step.embeds)
    halves = ((p - q.detach()).square() / 2 + (p.detach() - q).square() / 2).mean()
    torch.testing.assert_close(found, halves)
    for mine, theirs in zip(gradients(model, found), gradients(model, halves), strict=True):
        if mine is not None:
            torch.testing.assert_close(mine, theirs)
