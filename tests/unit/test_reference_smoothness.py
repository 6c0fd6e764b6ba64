"""R_s against tests/reference, in float64, for every task type: values and gradients.

They agree to 1e-10 of their size. The settings are read as the package resolves them. The model and its
dropout are the package's: the reference gets them as a function of the embeddings.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from data_utils.collator import Batch
from data_utils.errors import UserError
from mt_dnn.config.presets import PRESETS, resolve
from mt_dnn.config.smart import ProximalConfig, SmoothnessConfig
from mt_dnn.model import MTDNN
from mt_dnn.objective.smart import SmoothnessTerm
from mt_dnn.objective.step import Step
from tests.reference import smoothness
from tests.support.float64 import (
    TYPES,
    assert_same_gradients,
    gradients,
    half_of,
    l_s,
    same,
)


def r_s_of_both(
    model: MTDNN, batch: Batch, task_type: str, config: SmoothnessConfig
) -> tuple[Tensor, Tensor, Tensor, Tensor, Step, Step]:
    """R_s and delta: those of the package and of the reference, each with the step of its graph."""
    step, twin = (Step.from_batch(model, batch, seed=7) for _ in range(2))
    term = SmoothnessTerm(model, config)
    c = term.config
    value = term.compute(step)

    def f(embeds: Tensor) -> Tensor:
        if c.space == "words":
            return twin.forward(embeds, dropout=c.dropout)
        return twin.forward(twin.embeds, dropout=c.dropout, shift=embeds)

    # Each pass computes the output of the embedding block with its own masks, so x is inside of f.
    x = twin.embeds if c.space == "words" else torch.zeros_like(twin.hidden)
    noise = torch.zeros_like(x)
    generator = twin.generator(1)
    if c.noise == "normal":
        noise.normal_(0, c.sigma, generator=generator)
    elif c.noise == "uniform":
        noise.uniform_(-c.sigma, c.sigma, generator=generator)
    settings = smoothness.Settings(
        ascent=c.ascent,
        epsilon=c.epsilon,
        eta=c.step_size,
        steps=c.steps,
        norm=c.norm,
        scope=c.norm_scope,
        detach=c.detach,
    )
    clean = f(x) if c.dropout == "off" else twin.logits
    expected, delta = smoothness.r_s(
        f,
        x,
        clean,
        l_s(task_type, batch, c.divergence),
        batch.attention_mask,
        noise,
        settings,
        half_of(task_type, batch, c.divergence),
    )
    ours = SmoothnessTerm(model, config).perturbation(Step.from_batch(model, batch, seed=7))
    return value, expected, ours, delta, step, twin


def check_r_s(
    model: MTDNN,
    batch: Batch,
    task_type: str,
    config: SmoothnessConfig,
    tolerance: float = 1e-10,
) -> None:
    value, expected, ours, delta, step, twin = r_s_of_both(model, batch, task_type, config)
    assert value > 0
    assert same(value, expected, tolerance), (value.item(), expected.item())
    if config.ascent != "accumulated":  # there the package's method takes one more step
        assert same(ours, delta, tolerance)
    assert_same_gradients(
        gradients(value, model, step.embeds),
        gradients(expected, model, twin.embeds),
        tolerance,
    )


SIZES = {
    ("linf", "token"): 0.1,
    ("linf", "sentence"): 0.1,
    ("l2", "token"): 0.4,
    ("l2", "sentence"): 1.0,
    ("l1", "token"): 2.0,
    ("l1", "sentence"): 5.0,
}
"""Radii that bind: the noise lies outside of most of these balls."""


COMPARED = sorted(PRESETS.keys() - {"off"})


def large(preset: str = "smart", **changes: object) -> SmoothnessConfig:
    """A preset whose radius is large enough that plain formulas keep ten digits."""
    preset_has = PRESETS[preset][0]
    norm = changes.get("norm", preset_has.norm)
    scope = changes.get("norm_scope", preset_has.norm_scope)
    size = SIZES[norm, scope] if preset_has.ascent != "none" else 0.05
    sizes = {"epsilon": size, "step_size": 0.8 * size, "sigma": 0.05}
    if preset_has.noise == "zero":
        del sizes["sigma"]
    return resolve(preset, SmoothnessConfig(**sizes | changes), ProximalConfig())[0]


@pytest.mark.parametrize("task_type", TYPES)
@pytest.mark.parametrize("scope", ["token", "sentence"])
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_r_s_of_every_type_norm_and_scope(build, task_type, norm, scope):
    model, batch = build(task_type)
    check_r_s(model, batch, task_type, large(norm=norm, norm_scope=scope, steps=2))


@pytest.mark.parametrize("task_type", TYPES)
@pytest.mark.parametrize("preset", COMPARED)
def test_r_s_of_every_type_and_preset(build, task_type, preset):
    model, batch = build(task_type)
    if preset == "mtdnn_release" and task_type == "SequenceGeneration":
        with pytest.raises(UserError, match="embedding_output"):  # T5 has no embedding block
            SmoothnessTerm(model, large(preset))
        return
    check_r_s(model, batch, task_type, large(preset))


@pytest.mark.parametrize("task_type", [name for name in TYPES if name != "SequenceGeneration"])
@pytest.mark.parametrize("ascent", ["projected", "normalized", "accumulated"])
def test_r_s_of_every_type_on_the_output_of_the_embedding_block(build, task_type, ascent):
    model, batch = build(task_type)
    config = large(space="embedding_output", ascent=ascent, steps=2, norm_scope="token")
    check_r_s(model, batch, task_type, config)


@pytest.mark.parametrize("task_type", TYPES)
@pytest.mark.parametrize("detach", ["none", "own_target"])
def test_r_s_of_every_type_with_normalized_ascent(build, task_type, detach):
    model, batch = build(task_type)
    config = large(ascent="normalized", detach=detach, steps=2, norm_scope="token")
    # T5's LayerNorm computes its variance in float32, whose steps are 1.2e-7 of a number.
    tolerance = 1e-6 if task_type == "SequenceGeneration" else 1e-10
    check_r_s(model, batch, task_type, config, tolerance)


@pytest.mark.parametrize("dropout", ["shared", "independent", "off"])
@pytest.mark.parametrize("ascent", ["projected", "normalized", "accumulated", "none"])
@pytest.mark.parametrize("detach", ["none", "clean", "own_target"])
def test_r_s_of_every_ascent_and_dropout(build, ascent, dropout, detach):
    model, batch = build("Classification")
    config = large(ascent=ascent, dropout=dropout, detach=detach, steps=3, norm="l2")
    check_r_s(model, batch, "Classification", config)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_r_s_of_noise_that_is_projected_without_a_step(build, norm):
    model, batch = build("Classification")
    config = large(steps=0, norm=norm, epsilon=0.01)
    check_r_s(model, batch, "Classification", config)


@pytest.mark.parametrize("preset", COMPARED)
def test_r_s_with_the_printed_radius(build, preset):
    """The plain formulas lose digits at 1e-5, most of all those that cancel: JS and Hellinger."""
    model, batch = build("Classification", train=preset == "rdrop")
    config = resolve(preset, SmoothnessConfig(), ProximalConfig())[0]
    digits = 1e-3 if config.divergence in ("js", "hellinger") else 1e-5
    value, expected, ours, delta, _, _ = r_s_of_both(model, batch, "Classification", config)
    assert abs(value - expected) <= 1e-10
    assert same(value, expected, digits)
    if config.ascent != "accumulated":
        assert same(ours, delta, digits)


# Projections.


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("size", [0.1, 1.0, 10.0])
def test_projections_are_the_nearest_points_of_the_ball(norm, size):
    """No random point of the ball is nearer, and points inside stay."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        v = size * torch.randn(6, generator=generator, dtype=torch.float64)
        found = smoothness.project_vector(v, 1.0, norm)
        assert smoothness.p_norm(found, norm) <= 1 + 1e-12
        if smoothness.p_norm(v, norm) <= 1:
            assert torch.equal(found, v)
        points = torch.randn(200, 6, generator=generator, dtype=torch.float64)
        for point in points:
            point = point / max(smoothness.p_norm(point, norm).item(), 1.0)
            assert (v - found).norm() <= (v - point).norm() + 1e-12


# D_Breg.
