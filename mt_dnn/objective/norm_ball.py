"""Norms of perturbations (N,T,E) and projection onto ||delta||_p <= epsilon.

``norm`` selects p: linf, l2 or l1. ``scope`` selects the vectors whose norm is taken: ``token``,
each token's vector (E,), or ``sentence``, the vector of the whole sequence (T E,).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_ORDER = {"linf": math.inf, "l2": 2.0, "l1": 1.0}
_DIMS = {"token": (-1,), "sentence": (-2, -1)}


def norms(delta: Tensor, *, norm: str, scope: str) -> Tensor:
    """||delta||_p of each vector: (N,T,E) -> (N,T,1) per token, (N,1,1) per sentence."""
    return torch.linalg.vector_norm(delta, _ORDER[norm], dim=_DIMS[scope], keepdim=True)


def unit(delta: Tensor, *, norm: str, scope: str) -> Tensor:
    """Normalize each vector: delta / ||delta||_p, (N,T,E); a zero vector stays 0."""
    # Divide by the largest entry first, so that the squares of a tiny gradient do not underflow.
    largest = delta.abs().amax(_DIMS[scope], keepdim=True)
    delta = delta / torch.where(largest > 0, largest, 1)
    size = norms(delta, norm=norm, scope=scope)
    return delta / torch.where(size > 0, size, 1)


def project(delta: Tensor, *, epsilon: float, norm: str, scope: str, mask: Tensor) -> Tensor:
    """Project onto the ball ||delta||_p <= epsilon (nearest point in l2 distance).

    Args:
        delta: (N,T,E).
        epsilon: radius of the ball.
        norm: linf, l2 or l1.
        scope: token or sentence.
        mask: (N,T), true or 1 on real tokens.

    Returns:
        (N,T,E), exactly 0 on padding tokens.

    Source: l1 by sorting, Duchi et al., "Efficient Projections onto the l1-Ball", ICML 2008, figure 1.
    """
    delta = delta.masked_fill(~mask.bool().unsqueeze(-1), 0.0)
    if norm == "linf":
        return delta.clamp(-epsilon, epsilon)
    if norm == "l1":
        rows = delta if scope == "token" else delta.flatten(1)  # (..., D)
        ranked = rows.abs().sort(-1, descending=True).values
        excess = ranked.cumsum(-1) - epsilon
        rank = torch.arange(1, rows.shape[-1] + 1, device=rows.device)
        support = (ranked * rank > excess).sum(-1, keepdim=True).clamp(min=1)
        threshold = (excess.gather(-1, support - 1) / support).clamp(min=0)
        rows = rows.sign() * (rows.abs() - threshold).clamp(min=0)
        delta = rows.view_as(delta)
    # For l2 this scaling is the projection; for l1 it corrects rounding errors of the step above.
    size = norms(delta, norm=norm, scope=scope)
    return delta * (epsilon / size.clamp(min=epsilon))


def random_signs_like(delta: Tensor, *, norm: str, generator: torch.Generator) -> Tensor:
    """Random signs, scaled to the p-norm of ``delta`` on every token; (N,T,E)."""
    signs = torch.randint(0, 2, delta.shape, generator=generator, device=generator.device)
    signs = signs.to(delta) * 2 - 1
    return unit(signs, norm=norm, scope="token") * norms(delta, norm=norm, scope="token")
