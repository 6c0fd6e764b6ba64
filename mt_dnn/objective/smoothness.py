"""Smoothness-inducing adversarial regularization (SMART, arXiv 1911.03437, section 3.1).

    R_s(theta) = 1/n sum_i  max_{ ||x~_i - x_i||_p <= eps }  l_s( f(x~_i; theta), f(x_i; theta) )

x is what the word embeddings give for a sequence, x~ = x + delta, l_s a divergence of two
predictions. The inner maximum is approached as in Algorithm 1, lines 6 to 10:

    delta <- nu,  nu ~ N(0, sigma^2 I)
    T_x times:    g     <- d/d delta  l_s( f(x + delta), f(x) )
                  delta <- Pi( delta + eta g / ||g||_p ),   Pi onto { ||delta||_p <= eps }

and R_s is l_s at the last delta, which is then a constant. ``projected`` is this. The others:

    none         delta = nu: R3F, and with nu = 0 and independent dropout R-Drop.
    normalized   delta <- eps N(delta + eta g), N(v) = v / ||v||_p, g the raw gradient of the sum over
                 the batch: the released MT-DNN, where eps = 1 for every token. Nothing is projected.
    accumulated  FreeLB (arXiv 1909.11764, Algorithm 1) as far as a smoothness term can be it: K
                 iterates delta_0 ... delta_{K-1} by ``projected`` steps, and the term is the MEAN of
                 l_s over all of them, so theta's gradient is accumulated along the ascent. Each
                 iterate's one forward pass serves both gradients. FreeLB accumulates the supervised
                 loss at the iterates and has no clean pass; here it is l_s against the clean one.

The ball is that of the real tokens: delta is exactly 0 on padding.

Who does what. The caller owns the model and so its dropout, this module owns the noise:

    dropout      the caller's ``forward``                          the clean logits
    shared       every call under ``seeded_rng(seed, device)``     the caller's, under the same seed
    independent  just calls the model                              the caller's
    off          every call under ``dropout_off(model)``           made here by one more ``forward``

Under autocast with ``precision: float32`` all passes of the term run in float32 here, and so does
the clean one, which costs one more ``forward``: a radius of 1e-5 is far below the resolution of
bfloat16, and so is the divergence it causes below the rounding of bfloat16 clean logits. For that
``forward`` must not switch autocast on by itself.

Cost with T_x = 1: one forward, its backward to delta alone, one forward with the outer backward.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import NamedTuple

import torch
from torch import Tensor

from mt_dnn.config.smart import SmoothnessConfig
from mt_dnn.objective.norm_ball import norms, project, random_signs_like, unit
from mt_dnn.randomness import preserved_rng

Forward = Callable[[Tensor], Tensor]
Measure = Callable[[Tensor, Tensor], Tensor]


class SmoothnessStats(NamedTuple):
    """Detached scalars on the device; reading one waits for the device, so read at log points."""

    loss: Tensor
    """R_s of this batch, unweighted."""
    delta_ratio: Tensor
    """||delta||_2 / ||x||_2 over real tokens."""
    edge: Tensor
    """Fraction at the edge of the ball: of coordinates (linf), else of tokens or sentences."""
    dropped: Tensor
    """1 if the term was dropped because something in it was not finite, else 0."""
    random: Tensor | None
    """l_s at random signs of delta's norm, token by token; None unless measured."""
    gain: Tensor | None
    """l_s at delta over ``random``: above 1, the ascent ascends. None unless measured."""


def perturbation(
    forward: Forward,
    embeds: Tensor,
    clean_logits: Tensor,
    divergence: Measure,
    mask: Tensor,
    config: SmoothnessConfig,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """delta after T_x ascent steps, (N,T,E), a constant; and whether all was finite (bool scalar).

    Arguments as :func:`smoothness_loss`. Where something was not finite delta is 0.
    """
    assert config.steps is not None
    embeds, clean_logits = embeds.detach(), clean_logits.detach()
    delta = _noise(embeds, mask, config, generator)
    finite = torch.ones((), dtype=torch.bool, device=embeds.device)
    if config.ascent == "none":
        return delta, finite
    if config.steps == 0:
        return _constrain(delta, mask, config), finite
    for _ in range(config.steps):
        with torch.enable_grad():
            delta.requires_grad_()
            value = divergence(forward(embeds + delta), clean_logits)
            (gradient,) = torch.autograd.grad(value, delta)
        finite = finite & value.isfinite() & gradient.isfinite().all()
        delta = _step(delta.detach(), gradient, mask, config)
    return torch.where(finite, delta, 0.0), finite


def smoothness_loss(
    forward: Forward,
    embeds: Tensor,
    clean_logits: Tensor,
    divergence: Measure,
    mask: Tensor,
    config: SmoothnessConfig,
    generator: torch.Generator,
    *,
    measure_gain: bool = False,
) -> tuple[Tensor, SmoothnessStats]:
    """R_s of one batch, unweighted, and its health.

    A batch in which the term or the ascent's gradient is not finite contributes 0 with a gradient of
    0, decided on the device. (If activations inside the model are infinite at x itself, their
    weights' gradients are NaN all the same, here as in the supervised loss.)

    Args:
        forward: embeddings (N,T,E) -> logits; see the module's text for dropout and autocast.
        embeds: x, (N,T,E), with its graph: the final pass trains the word embeddings too.
        clean_logits: f(x) with its graph; not used where the module's text says it is made here.
        divergence: l_s, (perturbed logits, clean logits) -> scalar, mean over examples.
        mask: (N,T), true or 1 on real tokens.
        config: resolved (mt_dnn.config.smart.resolve).
        generator: of the noise, the only randomness used; best on the device of ``embeds``.
        measure_gain: also measure at random signs: one more forward without gradient. It changes
            nothing else, whatever random numbers it draws.
    """
    device = embeds.device.type
    widen = config.precision == "float32" and torch.is_autocast_enabled(device)
    with torch.autocast(device, enabled=False) if widen else nullcontext():
        if widen:
            embeds = embeds.to(torch.promote_types(embeds.dtype, torch.float32))
        if widen or config.dropout == "off":
            with torch.no_grad() if config.detach_clean else nullcontext():
                clean_logits = forward(embeds)
        if config.detach_clean:
            clean_logits = clean_logits.detach()

        if config.ascent == "accumulated":
            values, delta, finite = _accumulated(
                forward, embeds, clean_logits, divergence, mask, config, generator
            )
        else:
            delta, finite = perturbation(
                forward, embeds, clean_logits, divergence, mask, config, generator
            )
            value, final = _guarded(divergence, forward(embeds + delta), clean_logits)
            values, finite = value.unsqueeze(0), finite & final
        loss = torch.where(finite, values.mean(), 0.0)

        random = gain = None
        if measure_gain:
            with torch.no_grad(), preserved_rng(embeds.device):
                signs = random_signs_like(
                    delta, norm=str(config.norm), generator=generator.clone_state()
                )
                random = divergence(forward(embeds + signs), clean_logits)
                gain = values[-1] / random.clamp(min=torch.finfo(random.dtype).tiny)
    stats = SmoothnessStats(
        loss=loss.detach(),
        delta_ratio=_ratio(delta, embeds.detach(), mask),
        edge=_edge(delta, mask, config),
        dropped=(~finite).to(loss.dtype),
        random=random,
        gain=None if gain is None else gain.detach(),
    )
    return loss, stats


def _noise(
    embeds: Tensor, mask: Tensor, config: SmoothnessConfig, generator: torch.Generator
) -> Tensor:
    """nu, (N,T,E), float32 at least, 0 on padding."""
    assert config.sigma is not None
    dtype = torch.promote_types(embeds.dtype, torch.float32)
    noise = torch.zeros(embeds.shape, dtype=dtype, device=generator.device)
    if config.noise == "normal":
        noise.normal_(0, config.sigma, generator=generator)
    elif config.noise == "uniform":
        noise.uniform_(-config.sigma, config.sigma, generator=generator)
    return noise.to(embeds.device).masked_fill(~mask.bool().unsqueeze(-1), 0.0)


def _constrain(delta: Tensor, mask: Tensor, config: SmoothnessConfig) -> Tensor:
    """Onto the ball, or for ``normalized`` onto its surface."""
    assert config.epsilon is not None
    norm, scope = str(config.norm), str(config.norm_scope)
    if config.ascent == "normalized":
        return config.epsilon * unit(delta, norm=norm, scope=scope)
    return project(delta, epsilon=config.epsilon, norm=norm, scope=scope, mask=mask)


def _step(delta: Tensor, gradient: Tensor, mask: Tensor, config: SmoothnessConfig) -> Tensor:
    """One ascent step from ``delta``, all (N,T,E)."""
    assert config.step_size is not None
    gradient = gradient.masked_fill(~mask.bool().unsqueeze(-1), 0.0)
    if config.ascent == "normalized":
        direction = gradient * len(gradient)  # of the batch's sum, ours being its mean
    else:
        direction = unit(gradient, norm=str(config.norm), scope=str(config.norm_scope))
    return _constrain(delta + config.step_size * direction, mask, config)


def _accumulated(
    forward: Forward,
    embeds: Tensor,
    clean_logits: Tensor,
    divergence: Measure,
    mask: Tensor,
    config: SmoothnessConfig,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor, Tensor]:
    """l_s at each of the K iterates, (K,); the last iterate; whether all was finite."""
    assert config.steps is not None
    delta = _constrain(_noise(embeds, mask, config, generator), mask, config)
    finite = torch.ones((), dtype=torch.bool, device=embeds.device)
    values = []
    for left in reversed(range(config.steps)):
        with torch.enable_grad():
            delta.requires_grad_(left > 0)
            value, defined = _guarded(divergence, forward(embeds + delta), clean_logits)
            finite = finite & defined
            values.append(value)
            if left:
                (gradient,) = torch.autograd.grad(value, delta, retain_graph=True)
        if left:
            finite = finite & gradient.isfinite().all()
            moved = _step(delta.detach(), gradient, mask, config)
            delta = torch.where(finite, moved, 0.0)
    return torch.stack(values), delta, finite


def _guarded(divergence: Measure, perturbed: Tensor, clean: Tensor) -> tuple[Tensor, Tensor]:
    """The divergence, or 0 where it is not finite; and whether it is.

    Multiplying a bad value by 0 would still send NaN backwards (0 times infinity), so the gradient is
    also cut where it enters the logits. ``clean`` is aliased first: the supervised loss shares it.
    """
    pair = perturbed, clean.view_as(clean)
    value = divergence(*pair)
    finite = value.detach().isfinite()
    for logits in pair:
        if logits.requires_grad:
            logits.register_hook(lambda gradient: gradient.masked_fill(~finite, 0.0))
    return torch.where(finite, value, 0.0), finite


def _ratio(delta: Tensor, embeds: Tensor, mask: Tensor) -> Tensor:
    real = embeds.masked_fill(~mask.bool().unsqueeze(-1), 0.0)
    return torch.linalg.vector_norm(delta.detach()) / torch.linalg.vector_norm(real)


def _edge(delta: Tensor, mask: Tensor, config: SmoothnessConfig) -> Tensor:
    assert config.epsilon is not None
    norm, scope = str(config.norm), str(config.norm_scope)
    size = delta.detach().abs() if norm == "linf" else norms(delta.detach(), norm=norm, scope=scope)
    real = mask.bool().unsqueeze(-1)
    if norm != "linf" and scope == "sentence":
        real = real.any(1, keepdim=True)
    real = real.expand_as(size)
    return ((size >= config.epsilon * (1 - 1e-4)) & real).sum() / real.sum().clamp(min=1)
