"""R_s of the released MT-DNN code, as the preset ``mtdnn_release`` states it.

    x         what enters the first layer, (N, T, H)
    nu        N(0, sigma^2) per coordinate of a real token
    ascent    delta <- nu;  K times  delta <- N( delta + eta g ),
              g the gradient of the sum over units of l_s( f(x + delta), f(x) ) at delta, f(x) constant,
              N divides every token's vector by its largest absolute coordinate
    R_s       mean over units of KL( sg q || p ) + KL( sg p || q ),  p = f(x + delta), q = f(x)

A unit is an example or a labelled word, with one vector of logits. sg stops the gradient.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Layers = Callable[[Tensor], list[Tensor]]
"""x~ (N, T, H) -> one vector of logits for each unit."""


def kl(p: Tensor, q: Tensor) -> Tensor:
    """KL(P||Q) of two vectors of logits."""
    log_p = p - torch.logsumexp(p, 0)
    log_q = q - torch.logsumexp(q, 0)
    return (torch.exp(log_p) * (log_p - log_q)).sum()


def symmetric_kl(p: Tensor, q: Tensor) -> Tensor:
    """sum_c (p_c - q_c)(log p_c - log q_c), which rounds less than the sum of both KLs."""
    log_p = p - torch.logsumexp(p, 0)
    log_q = q - torch.logsumexp(q, 0)
    return ((torch.exp(log_p) - torch.exp(log_q)) * (log_p - log_q)).sum()


def perturbation(
    layers: Layers,
    x: Tensor,
    clean: list[Tensor],
    nu: Tensor,
    mask: Tensor,
    *,
    eta: float,
    steps: int,
) -> Tensor:
    """delta, (N, T, H), with unit inf-norm on every real token and 0 on padding."""
    delta = nu * mask[:, :, None]
    for _ in range(steps):
        delta = delta.detach().requires_grad_()
        moved = layers(x.detach() + delta)
        total = sum(symmetric_kl(p, q.detach()) for p, q in zip(moved, clean, strict=True))
        (g,) = torch.autograd.grad(total, delta)
        delta = (delta + eta * g).detach()
        for i in range(len(delta)):
            for t in range(delta.shape[1]):
                real = bool(mask[i, t])
                delta[i, t] = delta[i, t] / delta[i, t].abs().max() if real else 0.0
    return delta


def r_s(
    layers: Layers,
    x: Tensor,
    clean: list[Tensor],
    nu: Tensor,
    mask: Tensor,
    *,
    eta: float,
    steps: int,
) -> Tensor:
    """R_s with its graph; both predictions get a gradient, each from one KL."""
    delta = perturbation(layers, x, clean, nu, mask, eta=eta, steps=steps)
    total = torch.zeros((), dtype=x.dtype)
    for p, q in zip(layers(x + delta), clean, strict=True):
        total = total + kl(q.detach(), p) + kl(p.detach(), q)
    return total / len(clean)
