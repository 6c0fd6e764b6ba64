"""Divergences: against float64 references, at equality, under masks."""

import math

import pytest
import torch

from mt_dnn.divergences import squared_error
from mt_dnn.registries import DIVERGENCES

NAMES = DIVERGENCES.names()
DISTRIBUTIONS = ["symmetric_kl", "kl", "js", "hellinger"]


def reference(name, a, b):
    """The textbook formula on (B, C) logits in float64."""
    if name == "squared_error":
        return (a - b).pow(2).sum(-1)
    if name == "mean_squared_error":
        return (a - b).pow(2).mean(-1)
    if name.startswith("bernoulli_"):
        pair = [torch.stack([torch.zeros_like(z), z], -1) for z in (a, b)]
        return reference(name.removeprefix("bernoulli_"), *pair).sum(-1)
    log_p, log_q = a.log_softmax(-1), b.log_softmax(-1)
    p, q = log_p.exp(), log_q.exp()
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)
    return {
        "kl": p * (log_p - log_q),
        "symmetric_kl": p * (log_p - log_q) + q * (log_q - log_p),
        "js": (p * (log_p - log_m) + q * (log_q - log_m)) / 2,
        "hellinger": (p + q - 2 * ((log_p + log_q) / 2).exp()) / 2,
    }[name].sum(-1)


def logits(scale, *shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    # Values a float32 holds exactly, so that both precisions see the same logits.
    return (scale * torch.randn(*shape, generator=generator)).double()


@pytest.mark.parametrize("scale", [1e-2, 1e-1, 1.0, 1e1, 1e2])
@pytest.mark.parametrize("name", NAMES)
def test_float32_agrees_with_the_float64_reference(name, scale):
    a, b = logits(scale, 256, 4, seed=1), logits(scale, 256, 4, seed=2)
    value = DIVERGENCES.get(name)(a.float(), b.float())
    assert value.dtype == torch.float32
    assert value.shape == (256,)
    torch.testing.assert_close(
        value.double(), reference(name, a, b), rtol=2e-4 if scale < 0.1 else 2e-5, atol=1e-12
    )


@pytest.mark.parametrize("name", NAMES)
def test_keeps_relative_accuracy_near_equality(name):
    a = logits(1.0, 256, 4)
    b = (a + 1e-4 * logits(1.0, 256, 4, seed=3)).float().double()
    value = DIVERGENCES.get(name)(a.float(), b.float()).double()
    assert (value >= 0).all()
    expected = DIVERGENCES.get(name)(a, b)  # itself right in float64, by the test above
    assert (value.sum() / expected.sum() - 1).abs() < 1e-2


@pytest.mark.parametrize("scale", [1e-2, 1.0, 1e2])
@pytest.mark.parametrize("name", NAMES)
def test_equality_gives_exactly_zero_with_zero_gradient(name, scale):
    p = logits(scale, 64, 4).float().requires_grad_()
    q = p.detach().clone().requires_grad_()
    value = DIVERGENCES.get(name)(p, q)
    value.sum().backward()
    assert value.abs().max() == 0
    assert p.grad.abs().max() == 0
    assert q.grad.abs().max() == 0


@pytest.mark.parametrize("name", [n for n in NAMES if not n.endswith("_kl") and n != "kl"])
def test_symmetric_ones_are_symmetric(name):
    a, b = logits(3.0, 64, 4, seed=1), logits(3.0, 64, 4, seed=2)
    f = DIVERGENCES.get(name)
    torch.testing.assert_close(f(a, b), f(b, a))


def test_symmetric_kl_is_both_kls():
    a, b = logits(3.0, 64, 4, seed=1), logits(3.0, 64, 4, seed=2)
    kl, symmetric = DIVERGENCES.get("kl"), DIVERGENCES.get("symmetric_kl")
    torch.testing.assert_close(symmetric(a, b), kl(a, b) + kl(b, a))
    torch.testing.assert_close(symmetric(a, b), symmetric(b, a))


@pytest.mark.parametrize("scale", [0.5, 20.0])
@pytest.mark.parametrize("name", NAMES)
def test_gradcheck(name, scale):
    a = logits(scale, 3, 4, seed=1).requires_grad_()
    b = logits(scale, 3, 4, seed=2).requires_grad_()
    mask = torch.tensor([[1, 1, 0, 1], [1, 1, 1, 1], [1, 0, 0, 1]])
    f = DIVERGENCES.get(name)
    assert torch.autograd.gradcheck(f, (a, b))
    assert torch.autograd.gradcheck(lambda p, q: f(p, q, mask=mask), (a, b))


@pytest.mark.parametrize("name", NAMES)
def test_finite_with_gradient_at_huge_logits(name):
    p = torch.tensor([[200.0, -200.0, 0.0], [-1e4, 1e4, 3.0]], requires_grad=True)
    q = torch.tensor([[-200.0, 200.0, 0.0], [1e4, -1e4, 3.0]], requires_grad=True)
    value = DIVERGENCES.get(name)(p, q)
    value.sum().backward()
    assert value.isfinite().all()
    assert (value > 0).all()
    assert p.grad.isfinite().all()
    assert q.grad.isfinite().all()


@pytest.mark.parametrize("rubbish", [0.0, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", NAMES)
def test_absent_entries_take_no_part(name, rubbish):
    a, b = logits(2.0, 5, 3, seed=1), logits(2.0, 5, 3, seed=2)
    f = DIVERGENCES.get(name)
    expected = f(a, b)
    wide = [
        torch.cat([z, torch.full((5, 2), rubbish).double()], 1).requires_grad_() for z in (a, b)
    ]
    mask = torch.tensor([1, 1, 1, 0, 0]).expand(5, 5)
    value = f(*wide, mask=mask)
    value.sum().backward()
    torch.testing.assert_close(value, expected)
    for z in wide:
        assert z.grad[:, :3].abs().max() > 0
        assert z.grad[:, 3:].abs().max() == 0  # and so not NaN


@pytest.mark.parametrize("name", NAMES)
def test_nothing_present_is_zero(name):
    p = torch.randn(2, 3, requires_grad=True)
    q = torch.randn(2, 3, requires_grad=True)
    value = DIVERGENCES.get(name)(p, q, mask=torch.zeros(2, 3))
    value.sum().backward()
    assert value.abs().max() == 0
    assert p.grad.abs().max() == 0


@pytest.mark.parametrize("name", NAMES)
def test_dim_with_a_broadcast_mask(name):
    """Spans: (B,T,2), the distribution over T, padding masked out for start and end alike."""
    a, b = logits(2.0, 2, 6, 2, seed=1), logits(2.0, 2, 6, 2, seed=2)
    mask = torch.tensor([[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1]])[..., None]
    f = DIVERGENCES.get(name)
    value = f(a, b, dim=1, mask=mask)
    assert value.shape == (2, 2)
    torch.testing.assert_close(value[0, 1], f(a[0, :4, 1], b[0, :4, 1]))
    torch.testing.assert_close(value[1], f(a[1].T, b[1].T))


@pytest.mark.parametrize("name", NAMES)
def test_half_precision_is_computed_in_float32(name):
    a, b = logits(2.0, 8, 4, seed=1).bfloat16(), logits(2.0, 8, 4, seed=2).bfloat16()
    f = DIVERGENCES.get(name)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = f(a, b)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, f(a.float(), b.float()))


def test_predictions_of_unlike_shape_are_refused():
    """(B,) against (B,1) would broadcast to (B,B): 2 var(p) instead of 0 for equal predictions."""
    p = torch.tensor([1.0, 2.0, 4.0])
    with pytest.raises(ValueError, match=r"\(3,\) and \(3, 1\)"):
        squared_error(p, p[:, None])
    assert squared_error(p[:, None], p[:, None]).tolist() == [0, 0, 0]


def test_bounds():
    p, q = torch.tensor([[300.0, -300.0]]), torch.tensor([[-300.0, 300.0]])
    assert DIVERGENCES.get("js")(p, q).item() == pytest.approx(math.log(2))
    assert DIVERGENCES.get("hellinger")(p, q).item() == pytest.approx(1)


@pytest.mark.parametrize(
    ("legacy", "name"),
    [
        ("KlCriterion", "kl"),
        ("NsKlCriterion", "kl"),
        ("SymKlCriterion", "symmetric_kl"),
        ("NsSymKlCriterion", "symmetric_kl"),
        ("JSCriterion", "js"),
        ("HLCriterion", "hellinger"),
        ("MseCriterion", "squared_error"),
        ("mse", "squared_error"),
    ],
)
def test_legacy_names(legacy, name):
    assert DIVERGENCES.canonical(legacy) == name
