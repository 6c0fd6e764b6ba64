"""precision: auto, the rule, what it decides for a run, and that its threshold is sound."""

from __future__ import annotations

import pytest
import torch

from mt_dnn.config.bounds import resolve_config
from mt_dnn.config.presets import resolve
from mt_dnn.config.run import ModelConfig, RunConfig, SystemConfig
from mt_dnn.config.smart import ProximalConfig, SmoothnessConfig
from mt_dnn.encoders.encoder import Encoder
from mt_dnn.model import MTDNN
from mt_dnn.objective.smart import SmoothnessTerm
from mt_dnn.objective.smart_precision import choose_precision, sample
from tests.support.encoders import tiny_encoder
from tests.support.tasks import make_task
from tests.support.three_tasks import make_model


def encoder_of_size(size: float) -> Encoder:
    """With word embeddings whose root mean square is ``size``."""
    encoder = tiny_encoder()
    with torch.no_grad():
        table = encoder.model.get_input_embeddings().weight
        table.mul_(size / table.square().mean().sqrt())
    return encoder


def settings(preset: str = "smart", **given: object) -> SmoothnessConfig:
    return resolve(preset, SmoothnessConfig(**given), ProximalConfig())[0]


RULES = [
    ({"epsilon": 1e-5}, "float32"),
    ({"epsilon": 4.9e-4}, "float32"),
    ({"epsilon": 5.1e-4}, "autocast"),
    ({"epsilon": 1e-3, "sigma": 1e-5}, "float32"),  # the first pass of the ascent would be rounded
    ({"epsilon": 1e-5, "sigma": 1e-3}, "float32"),
    ({"epsilon": 1e-5, "sigma": 1e-3, "ascent": "none"}, "autocast"),  # no radius without an ascent
    ({"ascent": "none", "noise": "zero"}, "autocast"),  # nothing that could be rounded away
    ({"epsilon": 2e-3, "norm": "l2", "norm_scope": "token", "sigma": 1e-3}, "float32"),
    ({"epsilon": 3e-3, "norm": "l2", "norm_scope": "token", "sigma": 1e-3}, "autocast"),
    ({"epsilon": 0.06, "norm": "l2", "sigma": 1e-3}, "float32"),  # 0.06 / sqrt(512 * 32)
    ({"epsilon": 0.07, "norm": "l2", "sigma": 1e-3}, "autocast"),
    ({"epsilon": 0.02, "norm": "l1", "norm_scope": "token", "sigma": 1e-3}, "autocast"),
    ({"epsilon": 0.01, "norm": "l1", "norm_scope": "token", "sigma": 1e-3}, "float32"),
]


@pytest.mark.parametrize(("given", "choice"), RULES)
def test_both_radius_and_noise_reach_a_hundredth_of_the_embeddings(given, choice):
    found = choose_precision(encoder_of_size(0.05), settings(**given))
    assert found.choice == choice
    assert found.threshold == pytest.approx(5e-4)


def test_the_output_of_the_block_is_measured_where_it_is_perturbed():
    encoder = encoder_of_size(0.05).train()
    block = sample(encoder, "embedding_output")
    assert block.shape[-1] == encoder.hidden_size
    assert torch.equal(block, sample(encoder, "embedding_output"))  # without dropout
    assert encoder.training
    size = float(block.square().mean().sqrt())
    for epsilon, choice in ((0.009 * size, "float32"), (0.011 * size, "autocast")):
        config = settings(space="embedding_output", epsilon=epsilon)
        found = choose_precision(encoder, config)
        assert found.choice == choice
        assert found.size == pytest.approx(size)


@pytest.mark.parametrize("preset", ["smart", "pdr_js", "r3f", "freelb", "mtdnn_release"])
def test_the_numbers_of_the_presets_run_in_float32(preset):
    term = SmoothnessTerm(model_of(encoder_of_size(0.05)), settings(preset))
    assert term.config.precision == "float32"


def model_of(encoder: Encoder) -> MTDNN:
    torch.manual_seed(3)
    return MTDNN(encoder, {"c": make_task(name="c", n_class=3)}, ModelConfig(dropout=0.0))


def test_a_written_precision_wins():
    for precision in ("float32", "autocast"):
        config = settings(precision=precision)
        assert SmoothnessTerm(make_model(dropout=False), config).config.precision == precision


def test_the_choice_is_printed():
    model = model_of(encoder_of_size(0.05))
    line = SmoothnessTerm(model, settings(epsilon=1e-3)).setup()["R_s"]
    assert line == (
        "projected on word embeddings, epsilon 0.001 (linf per sentence), step_size 0.1, steps 1, "
        "sigma 0.001, passes in autocast under bf16 (the smaller of radius and noise is 0.001; "
        "autocast from 0.0005, 1% of the root mean square)"
    )
    line = SmoothnessTerm(model, settings("mtdnn_release")).setup()["R_s"]
    assert line.startswith(
        "normalized on embedding output, epsilon 1 (linf per token), step_size 1e-05"
    )
    assert "passes in float32 under bf16 (the smaller" in line
    line = SmoothnessTerm(model, settings("rdrop")).setup()["R_s"]
    assert line.endswith("passes in autocast")


def test_fp16_takes_float32_and_resolving_again_changes_nothing():
    config = resolve_config(RunConfig(smart="smart", system=SystemConfig(precision="fp16")))
    assert config.smoothness.precision == "float32"
    assert resolve_config(config) == config
    config = resolve_config(RunConfig(smart="smart", system=SystemConfig(precision="bf16")))
    assert config.smoothness.precision == "auto"
    assert resolve_config(config) == config


@pytest.mark.parametrize(
    ("epsilon", "least", "most"), [(1e-5, 0.0, 0.4), (1e-4, 0.4, 0.9), (5e-4, 0.98, 1.0)]
)
def test_from_the_threshold_on_bfloat16_keeps_the_perturbation(epsilon, least, most):
    """Cosine of the perturbation and of what is left of it in bfloat16, at embeddings of size 0.05."""
    generator = torch.Generator().manual_seed(0)
    x = 0.05 * torch.randn(1000, 384, generator=generator)
    delta = epsilon * torch.randn(x.shape, generator=generator).sign()
    left = (x + delta).bfloat16().double() - x.bfloat16().double()
    assert least < torch.cosine_similarity(left.flatten(), delta.double().flatten(), dim=0) < most
