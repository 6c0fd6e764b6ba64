"""R_s on a toy network under bfloat16 autocast."""

import torch

from mt_dnn.objective.smoothness import smoothness_loss
from tests.support.toy_network import MASK, config, embeddings, generator, measure, run


def under_bfloat16(model, cfg):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return run(model, cfg, measure_gain=True)[1]


def test_float32_keeps_the_perturbation_under_autocast(trained):
    stats = under_bfloat16(trained, config())
    expected = run(trained, config(), measure_gain=True)[1]
    assert stats.gain > 2
    torch.testing.assert_close(stats.loss, expected.loss)


def test_autocast_rounds_the_perturbation_away(trained):
    rounded = under_bfloat16(trained, config(precision="autocast"))
    true = run(trained, config())[1].loss
    assert rounded.gain <= 1
    assert not 0.5 < rounded.loss / true < 2


def test_float32_costs_one_clean_forward_under_autocast_alone(toy):
    for enabled, calls in ((False, 2), (True, 3)):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            clean = toy(embeddings())
            toy.calls = 0
            smoothness_loss(toy, embeddings(), clean, measure, MASK, config(), generator())
        assert toy.calls == calls
