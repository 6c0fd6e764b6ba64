"""How far apart two predictions are: the l_s of SMART, D_Breg and distillation.

Every function takes two tensors of *logits* of one shape and reduces over ``dim`` alone: it sums
over the distribution and leaves the mean over examples to the caller. All of them

* compute in float32 at least (float64 stays float64), whatever the logits or autocast say;
* are never negative beyond rounding, exactly 0 at equal logits, and have a gradient of exactly 0
  there. The textbook sums cancel near equality, which is where SMART lives (its radius is 1e-5,
  the divergence about 1e-9), so each is written in a form that keeps its relative accuracy;
* let gradients flow into both sides.

``mask`` (bool or 0/1, broadcastable to the logits; true: present) marks entries that exist:
candidates of a ranking example, tokens of a span distribution. Absent entries have no
probability and no gradient, and may hold anything, NaN included; where nothing is present the
result is 0.

The ``bernoulli_`` form of each treats every entry as a label of its own with probability
sigmoid(logit), and sums over the labels along ``dim``.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor

from data_utils.registry import Registry


class Divergence(Protocol):
    """``f(p_logits, q_logits)``, both (..., C, ...) -> the shape without ``dim``."""

    def __call__(
        self, p_logits: Tensor, q_logits: Tensor, *, dim: int = -1, mask: Tensor | None = None
    ) -> Tensor: ...


DIVERGENCES: Registry[Divergence] = Registry("divergence")


def _prepare(
    p_logits: Tensor, q_logits: Tensor, mask: Tensor | None, fill: float
) -> tuple[Tensor, Tensor]:
    """Both in float32 at least, with ``fill`` at absent entries, which cuts their gradient."""
    if p_logits.shape != q_logits.shape:
        raise ValueError(
            f"a divergence needs two tensors of one shape, got {tuple(p_logits.shape)} and "
            f"{tuple(q_logits.shape)}; broadcasting one against the other would compare every "
            "example with every other"
        )
    dtype = torch.promote_types(torch.promote_types(p_logits.dtype, q_logits.dtype), torch.float32)
    p_logits, q_logits = p_logits.to(dtype), q_logits.to(dtype)
    if mask is None:
        return p_logits, q_logits
    absent = ~mask.bool()
    return p_logits.masked_fill(absent, fill), q_logits.masked_fill(absent, fill)


def _log_probabilities(
    p_logits: Tensor, q_logits: Tensor, dim: int, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """log p, log q, p, q over ``dim``; absent entries have p = q = 0 and log p = log q."""
    # The lowest finite number and not -inf, whose differences are NaN: any log-normalizer vanishes
    # beside it, so that both sides agree at absent entries and no formula sees them.
    lowest = torch.finfo(torch.float32).min
    p_logits, q_logits = _prepare(p_logits, q_logits, mask, lowest)
    log_p, log_q = p_logits.log_softmax(dim), q_logits.log_softmax(dim)
    return log_p, log_q, log_p.exp(), log_q.exp()


@DIVERGENCES.register("symmetric_kl", "SymKlCriterion", "NsSymKlCriterion")
def symmetric_kl(
    p_logits: Tensor, q_logits: Tensor, *, dim: int = -1, mask: Tensor | None = None
) -> Tensor:
    """KL(P||Q) + KL(Q||P) = sum (p - q)(log p - log q); SMART's choice (arXiv 1911.03437, 3.1)."""
    log_p, log_q, p, q = _log_probabilities(p_logits, q_logits, dim, mask)
    return ((p - q) * (log_p - log_q)).sum(dim)


@DIVERGENCES.register("kl", "KlCriterion", "NsKlCriterion")
def kl(p_logits: Tensor, q_logits: Tensor, *, dim: int = -1, mask: Tensor | None = None) -> Tensor:
    """KL(P||Q) = sum p (log p - log q).

    Summed as p log(p/q) - p + q, the same in total, because each entry is then non-negative.
    """
    log_p, log_q, p, q = _log_probabilities(p_logits, q_logits, dim, mask)
    d = log_p - log_q
    near = d.clamp(-1, 1)  # both branches stay finite, so that neither puts a NaN in a gradient
    terms = torch.where(d.abs() < 1, p * (near + torch.expm1(-near)), p * d - p + q)
    return terms.sum(dim)


@DIVERGENCES.register("js", "JSCriterion")
def js(p_logits: Tensor, q_logits: Tensor, *, dim: int = -1, mask: Tensor | None = None) -> Tensor:
    """Jensen-Shannon, (KL(P||M) + KL(Q||M)) / 2 with M = (P + Q) / 2; between 0 and log 2.

    With u = (log p - log q) / 2 it is 1/2 sum (p + q)(u tanh u - log cosh u), free of the
    cancellation of log p - log m. Used by PDR (arXiv 2010.12638).
    """
    log_p, log_q, p, q = _log_probabilities(p_logits, q_logits, dim, mask)
    u = (log_p - log_q) / 2
    near = u.clamp(-1, 1)
    near_value = near * near.tanh() - torch.log1p(2 * (near / 2).sinh().square())
    far = 2 * u.abs().clamp(min=1)
    far_value = math.log(2) - torch.log1p((-far).exp()) - far * (-far).sigmoid()
    return ((p + q) / 2 * torch.where(u.abs() < 1, near_value, far_value)).sum(dim)


@DIVERGENCES.register("hellinger", "HLCriterion")
def hellinger(
    p_logits: Tensor, q_logits: Tensor, *, dim: int = -1, mask: Tensor | None = None
) -> Tensor:
    """Squared Hellinger distance, 1/2 sum (sqrt p - sqrt q)^2; between 0 and 1.

    The squared one, as in PDR (arXiv 2010.12638): the distance itself has no derivative at p = q.
    The roots come from halved log-probabilities, whose gradient stays finite as p -> 0.
    """
    log_p, log_q, _, _ = _log_probabilities(p_logits, q_logits, dim, mask)
    return ((log_p / 2).exp() - (log_q / 2).exp()).square().sum(dim) / 2


@DIVERGENCES.register("squared_error", "mse", "MseCriterion")
def squared_error(
    p_logits: Tensor, q_logits: Tensor, *, dim: int = -1, mask: Tensor | None = None
) -> Tensor:
    """sum (p - q)^2 of the outputs themselves: SMART's choice where they are numbers.

    Raises:
        ValueError: shapes differ. (B,) against (B,1) broadcasts to (B,B), whose mean is
            2 var(prediction) for identical predictions, and not 0.
    """
    p_logits, q_logits = _prepare(p_logits, q_logits, mask, 0.0)
    return (p_logits - q_logits).square().sum(dim)


def _register_bernoulli(name: str) -> None:
    two_way = DIVERGENCES.get(name)

    @DIVERGENCES.register(f"bernoulli_{name}")
    def bernoulli(
        p_logits: Tensor, q_logits: Tensor, *, dim: int = -1, mask: Tensor | None = None
    ) -> Tensor:
        p_logits, q_logits = _prepare(p_logits, q_logits, mask, 0.0)
        # sigmoid(z) is the softmax over (z, 0)
        p_pair, q_pair = (torch.stack([z, torch.zeros_like(z)], -1) for z in (p_logits, q_logits))
        return two_way(p_pair, q_pair).sum(dim)

    bernoulli.__doc__ = f"{name} of two Bernoullis sigmoid(p), sigmoid(q), summed over labels."


for _name in ("symmetric_kl", "kl", "js", "hellinger"):
    _register_bernoulli(_name)

bernoulli_symmetric_kl = DIVERGENCES.get("bernoulli_symmetric_kl")
