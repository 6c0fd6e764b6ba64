"""Dropout on a CPU: its probabilities, its gradient, and attention with it."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from mt_dnn.encoders import attention as sdpa
from mt_dnn.encoders import dropout as module
from mt_dnn.encoders.attention import attention
from mt_dnn.encoders.dropout import LEVELS, CheapDropout, dropout
from mt_dnn.randomness import dropout_off
from tests.support.encoders import ARCHITECTURES, tiny_encoder
from tests.unit.test_encoder import WITHOUT_SDPA, batch, split_forward

OWN_ATTENTION = [n for n in ARCHITECTURES if n not in {*WITHOUT_SDPA, "t5", "albert", "modernbert"}]
"""Those that attend by SDPA, with dropout by default, and without T5's position bias."""


def dropped(n: int, rate: float, seed: int = 0) -> torch.Tensor:
    torch.manual_seed(seed)
    return dropout(torch.ones(n), rate) == 0


def z(found: float, n: int, probability: float) -> float:
    """Distance of a count from its mean, in standard deviations of the binomial distribution."""
    return abs(found - n * probability) / math.sqrt(n * probability * (1 - probability))


@pytest.mark.parametrize("level", [1, 2, 6554, LEVELS // 2, LEVELS - 1])
def test_the_probability_is_exact_to_its_last_bit(level):
    """At the level 1, half or twice the rate would be 8 standard deviations away."""
    n = 2**22
    found = dropped(n, level / LEVELS)
    assert z(float(found.sum()), n, level / LEVELS) < 4
    lanes = found.view(-1, 4).sum(0)  # the four masks of one draw
    assert all(z(float(lane), n // 4, level / LEVELS) < 4 for lane in lanes)


@pytest.mark.parametrize("apart", [1, 2, 3, 4, 8])
def test_neighbours_are_dropped_independently(apart):
    """Chi-square test of the four pairs of outcomes; 16.27 is its 99.9% quantile at 3 degrees."""
    n, rate = 2**20, 6554 / LEVELS
    found = dropped(n + apart, rate).long()
    counts = torch.bincount(2 * found[:-apart] + found[apart:], minlength=4).double()
    expected = n * torch.tensor([(1 - rate) ** 2, (1 - rate) * rate, (1 - rate) * rate, rate**2])
    assert float(((counts - expected) ** 2 / expected).sum()) < 16.27


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_kept_elements_are_scaled_by_the_rate_that_is_drawn(dtype):
    x = torch.randn(7, 11).to(dtype)
    y = dropout(x, 0.1)
    kept = y != 0
    assert y.dtype == dtype
    assert 0 < kept.sum() < x.numel()
    assert torch.equal(y[kept], (x * (LEVELS / (LEVELS - 6554)))[kept])


def test_the_gradient_has_the_mask_of_the_value():
    x = torch.randn(5, 3, requires_grad=True)
    y = dropout(x, 0.5)
    y.sum().backward()
    assert torch.equal(x.grad, (y != 0) * 2.0)


def test_the_mask_follows_the_seed():
    assert torch.equal(dropped(999, 0.3, seed=1), dropped(999, 0.3, seed=1))
    assert not torch.equal(dropped(999, 0.3, seed=1), dropped(999, 0.3, seed=2))
    torch.manual_seed(1)
    pair = dropout(torch.ones(999), 0.3), dropout(torch.ones(999), 0.3)
    assert not torch.equal(*pair)


@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 3), (4, 4)])
def test_any_number_of_elements(shape):
    assert dropout(torch.ones(shape), 0.1).shape == shape


def test_rates_0_and_1_and_evaluation():
    x = torch.randn(9)
    assert torch.equal(dropout(x, 0.0), x)
    assert torch.equal(dropout(x, 1.0), torch.zeros(9))
    layer = CheapDropout(0.5)
    assert not torch.equal(layer(x), x)
    assert torch.equal(layer.eval()(x), x)


def inputs(n: int = 2, heads: int = 2, length: int = 5, width: int = 3) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    shape = n, heads, length, width
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(3)]


PADDED = (torch.arange(5) < torch.tensor([5, 3])[:, None])[:, None, None]  # (N, 1, 1, T)


@pytest.mark.parametrize("scale", [None, 0.3])
@pytest.mark.parametrize("mask", [None, PADDED, torch.randn(2, 1, 5, 5).double()])
def test_without_dropout_it_is_torchs_attention(mask, scale):
    q, k, v = inputs()
    expected = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)
    torch.testing.assert_close(attention(q, k, v, mask, scale=scale), expected)


def test_dropout_acts_on_the_probabilities():
    q, k, _ = inputs()
    v = torch.eye(5, dtype=torch.float64).expand(2, 2, 5, 5)  # the output is the probabilities
    before = attention(q, k, v, PADDED)
    torch.manual_seed(5)
    after = attention(q, k, v, PADDED, dropout=0.25)
    torch.manual_seed(5)
    torch.testing.assert_close(after, dropout(before, 0.25))
    assert ((after == 0) & (before > 0)).any()


def test_the_gradient_of_attention_with_dropout():
    tensors = [tensor.requires_grad_() for tensor in inputs()]

    def seeded(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(0)
        return attention(q, k, v, PADDED, dropout=0.25)

    assert torch.autograd.gradcheck(seeded, tensors)


def test_under_autocast_the_products_are_in_bfloat16():
    q, k, v = (tensor.float() for tensor in inputs())
    with torch.autocast("cpu", torch.bfloat16):
        narrow = attention(q, k, v, PADDED)
    assert narrow.dtype == torch.bfloat16
    torch.testing.assert_close(narrow.float(), attention(q, k, v, PADDED), atol=0.02, rtol=0.02)


@pytest.mark.parametrize("architecture", [n for n in ARCHITECTURES if n != "t5"])
@torch.no_grad()
def test_training_mode_computes_what_evaluation_does_but_for_the_masks(architecture, monkeypatch):
    """With every mask replaced by ones; sequences of 9, 6 and 1 tokens."""
    encoder = tiny_encoder(architecture)
    expected = split_forward(encoder, batch(encoder))
    calls = []
    monkeypatch.setattr(module, "dropout", lambda x, rate: x)
    monkeypatch.setattr(sdpa, "cheap_dropout", lambda x, rate: calls.append(rate) or x)
    monkeypatch.setattr(F, "dropout", lambda x, *args, **kwargs: x)
    real = batch(encoder)["attention_mask"].bool()
    found = split_forward(encoder.train(), batch(encoder))
    torch.testing.assert_close(found[real], expected[real], atol=1e-4, rtol=1e-4)
    assert len(calls) == (encoder.depth if architecture in OWN_ATTENTION else 0)


class Operators(TorchDispatchMode):
    """Records the names of the operators that run."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(func.name())
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("architecture", OWN_ATTENTION)
def test_torch_draws_no_mask(architecture):
    encoder = tiny_encoder(architecture).train()
    with Operators() as operators:
        split_forward(encoder, batch(encoder)).sum().backward()
    drawn = [name for name in operators.names if "bernoulli" in name or "dropout" in name]
    assert not drawn
    assert "aten::random_.from" in operators.names


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@torch.no_grad()
def test_the_same_seed_gives_the_same_pass(architecture):
    encoder = tiny_encoder(architecture).train()
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(split_forward(encoder, batch(encoder)))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    with dropout_off(encoder):
        quiet = [split_forward(encoder, batch(encoder)) for _ in range(2)]
    assert torch.equal(*quiet)
