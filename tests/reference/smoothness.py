"""R_s, the smoothness term of SMART (arXiv 1911.03437), by its Algorithm 1 and the variants of it.

    R_s(theta) = 1/n sum_i  max_{ ||x~_i - x_i||_p <= eps }  l_s( f(x~_i; theta), f(x_i; theta) )    (eq. 2)

The functions take f and l_s as arguments, and the starting noise nu, so that nothing here is random.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Settings:
    """The numbers of Algorithm 1."""

    ascent: str
    """projected (Algorithm 1), normalized (MT-DNN's release), accumulated (FreeLB) or none."""
    epsilon: float
    """Radius of the ball."""
    eta: float
    """Size of a step."""
    steps: int
    """T_x; with accumulated, the number of points at which l_s is taken."""
    norm: str
    """p of the ball: linf, l2 or l1."""
    scope: str
    """The vector whose norm is meant: that of a token, or that of the whole sentence."""
    detach: str
    """What is a constant in the final l_s: none; clean, f(x); or own_target, as in the release."""


def p_norm(vector: Tensor, norm: str) -> Tensor:
    """||v||_p of a vector."""
    if norm == "linf":
        return vector.abs().max()
    if norm == "l2":
        return (vector**2).sum().sqrt()
    return vector.abs().sum()


def project_vector(vector: Tensor, epsilon: float, norm: str) -> Tensor:
    """The point of the ball ||v||_p <= epsilon that is nearest to ``vector``.

    For l1, Duchi et al. 2008 (ICML), figure 1: every coordinate shrinks towards 0 by the same theta.
    theta is such that the norm is epsilon.
    """
    if norm == "linf":
        return torch.stack([v.clamp(-epsilon, epsilon) for v in vector])
    if p_norm(vector, norm) <= epsilon:
        return vector
    if norm == "l2":
        return vector * epsilon / p_norm(vector, "l2")
    sizes = sorted(vector.abs().tolist(), reverse=True)
    for count in range(1, len(sizes) + 1):
        candidate = (sum(sizes[:count]) - epsilon) / count
        if sizes[count - 1] > candidate:
            theta = candidate
    return torch.stack([v.sign() * (v.abs() - theta).clamp(min=0) for v in vector])


def by_vector(
    delta: Tensor, mask: Tensor, scope: str, change: Callable[[Tensor], Tensor]
) -> Tensor:
    """Apply ``change`` to the vector of every real token or of every sentence; 0 on padding.

    Args:
        delta: (N, T, E).
        mask: (N, T), 1 on real tokens.
        scope: token, vectors (E,); or sentence, vectors of all real tokens in a row.
        change: vector -> vector of the same size.
    """
    changed = torch.zeros_like(delta)
    for i in range(delta.shape[0]):
        real = [t for t in range(delta.shape[1]) if mask[i, t]]
        if scope == "token":
            for t in real:
                changed[i, t] = change(delta[i, t])
        else:
            changed[i, real] = change(delta[i, real].flatten()).view(len(real), -1)
    return changed


def divided_by_norm(vector: Tensor, norm: str) -> Tensor:
    """v / ||v||_p; a zero vector stays 0."""
    return vector / p_norm(vector, norm) if vector.any() else vector


def constrain(delta: Tensor, mask: Tensor, s: Settings) -> Tensor:
    """Pi of Algorithm 1; in the release, delta scaled to norm epsilon instead."""
    if s.ascent == "normalized":
        return by_vector(delta, mask, s.scope, lambda v: s.epsilon * divided_by_norm(v, s.norm))
    return by_vector(delta, mask, s.scope, lambda v: project_vector(v, s.epsilon, s.norm))


def ascent_step(
    delta: Tensor, gradients: tuple[Tensor, Tensor], mask: Tensor, s: Settings
) -> Tensor:
    """One step of Algorithm 1, lines 8 and 9.

    g~ <- g / ||g||_p, x~ <- Pi(x~ + eta g~). The release adds eta times the raw gradient of the SUM.
    Dividing by the norm makes the mean and the sum equal in Algorithm 1.

    Args:
        delta: x~ - x, (N, T, E).
        gradients: those of the mean and of the sum of l_s at x~.
        mask: (N, T).
        s: settings.
    """
    of_mean, of_sum = gradients
    if s.ascent == "normalized":
        direction = by_vector(of_sum, mask, "token", lambda v: v)
    else:
        direction = by_vector(of_mean, mask, s.scope, lambda v: divided_by_norm(v, s.norm))
    return constrain(delta + s.eta * direction, mask, s)


def r_s(
    f: Callable[[Tensor], Tensor],
    x: Tensor,
    clean: Tensor,
    l_s: Callable[[Tensor, Tensor], Tensor],
    mask: Tensor,
    nu: Tensor,
    s: Settings,
    half: Callable[[Tensor, Tensor], Tensor],
) -> tuple[Tensor, Tensor]:
    """R_s and the last delta.

    Args:
        f: embeddings (N, T, E) -> logits.
        x: embeddings with their graph.
        clean: f(x) with its graph.
        l_s: (logits at x~, logits at x) -> one value for each distribution, (M,).
        mask: (N, T), 1 on real tokens.
        nu: the starting noise, (N, T, E).
        s: settings.
        half: d, (target, logits) -> (M,), for own_target: l_s(P, Q) = d(P, Q) + d(Q, P).

    Returns:
        R_s, a scalar with its graph, and delta.
    """
    delta = by_vector(nu, mask, "token", lambda v: v)  # line 6: x~ <- x + nu

    if s.ascent == "none":  # R3F (arXiv 2008.03156, eq. 4); with nu = 0, R-Drop (arXiv 2106.14448)
        return final(l_s, half, f(x + delta), clean, s).mean(), delta

    if s.ascent == "accumulated":
        # FreeLB (arXiv 1909.11764, Algorithm 1): the mean over all points.
        delta = constrain(delta, mask, s)
        total = torch.zeros((), dtype=x.dtype)
        for point in range(s.steps):
            moving = delta.clone().requires_grad_()
            values = final(l_s, half, f(x + moving), clean, s)
            total = total + values.mean()
            if point < s.steps - 1:
                gradients = both_gradients(values, moving)
                delta = ascent_step(delta, gradients, mask, s)
        return total / s.steps, delta

    if s.steps == 0:
        delta = constrain(delta, mask, s)
    for _ in range(s.steps):  # lines 7 to 10
        moving = delta.clone().requires_grad_()
        values = l_s(f(x.detach() + moving), clean.detach())
        delta = ascent_step(delta, both_gradients(values, moving), mask, s)
    return final(l_s, half, f(x + delta), clean, s).mean(), delta


def final(
    l_s: Callable[[Tensor, Tensor], Tensor],
    half: Callable[[Tensor, Tensor], Tensor],
    perturbed: Tensor,
    clean: Tensor,
    s: Settings,
) -> Tensor:
    """l_s of the loss, with its constants; in the release each of two KLs holds its own target."""
    if s.detach == "own_target":
        return half(clean.detach(), perturbed) + half(perturbed.detach(), clean)
    return l_s(perturbed, clean.detach() if s.detach == "clean" else clean)


def both_gradients(values: Tensor, moving: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of the mean and of the sum of l_s with respect to delta."""
    (of_mean,) = torch.autograd.grad(values.mean(), moving, retain_graph=True)
    (of_sum,) = torch.autograd.grad(values.sum(), moving, retain_graph=True)
    return of_mean, of_sum
