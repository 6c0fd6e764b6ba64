"""Smoothness-inducing adversarial regularization of SMART (arXiv 1911.03437, 3.1).

    R_s(theta) = 1/n sum_i  max_{ ||x~_i - x_i||_p <= eps }  l_s( f(x~_i; theta), f(x_i; theta) )

x are the word embeddings of a sequence, or with ``space: embedding_output`` what enters the first
layer. x~ = x + delta, and l_s is a divergence between two predictions. Algorithm 1, lines 6 to 10,
approximates the inner maximum by gradient ascent:

    delta <- nu,  nu ~ N(0, sigma^2 I)
    T_x times:    g     <- d/d delta  l_s( f(x + delta), f(x) )
                  delta <- Pi( delta + eta g / ||g||_p ),   Pi onto { ||delta||_p <= eps }

R_s is l_s at the last delta, which is treated as a constant. This is ``ascent: projected``. The other
choices are:

    none         delta = nu. This is R3F; with nu = 0 and independent dropout it is R-Drop.
    normalized   delta <- eps N(delta + eta g) with N(v) = v / ||v||_p, where g is the raw gradient of
                 the sum of l_s over examples, labelled words or windows (``units`` of them). This is
                 the released MT-DNN code, with eps = 1 for every token. It does not project.
    accumulated  FreeLB (arXiv 1909.11764, Algorithm 1), adapted to a smoothness term. ``projected``
                 steps give K iterates delta_0 ... delta_{K-1}, and the term is the MEAN of l_s over
                 all iterates, so that the gradient of theta accumulates along the ascent. One forward
                 pass per iterate serves the gradients of both delta and theta. FreeLB accumulates the
                 supervised loss and has no clean pass; this term accumulates l_s against the clean
                 prediction.

The gradient of R_s with respect to theta depends on ``detach``; the ascent always holds f(x):

    none         flows into both predictions.
    clean        flows into f(x~) alone.
    own_target   l_s(P, Q) = d(P, Q) + d(Q, P), where each d holds its first argument, the target. For
                 the symmetric KL d is KL, as in the released MT-DNN code. The value is that of l_s, and
                 each prediction gets the gradient of one d: for small differences half of what
                 ``none`` gives. Where l_s is no such sum, d is l_s / 2. With ``ascent: accumulated``
                 the ascent follows the gradient of this pass too, that is of one d.

Only real tokens are perturbed: delta is exactly 0 on padding, and padding does not count in norms.

The caller controls the model and its dropout through ``forward``; this module draws the noise. What
the caller passes depends on ``dropout``:

    dropout      ``forward`` calls the model ...          ``clean_logits``
    shared       under ``seeded_rng(seed, device)``       computed under the same seed
    independent  under a new seed for every pass          computed under another seed
    off          under ``dropout_off(model)``             ignored; this module calls ``forward`` again

Under autocast, ``precision: float32`` (or ``auto``, which the caller resolves) makes this module run all
passes of the term in float32, including one more clean pass. The resolution of bfloat16 is much coarser
than a radius of 1e-5, and its rounding of the clean logits is larger than the divergence to measure.
``forward`` must therefore not enable autocast itself.

Cost with T_x = 1: one forward and one backward pass to delta for the ascent, then one forward pass
that takes part in the backward pass of the loss.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor

from mt_dnn.config.smart import SmoothnessConfig
from mt_dnn.objective.norm_ball import project, random_signs_like, unit
from mt_dnn.objective.smoothness_stats import SmoothnessStats, delta_ratio, edge_fraction
from mt_dnn.randomness import preserved_rng

Forward = Callable[[Tensor], Tensor]
Measure = Callable[[Tensor, Tensor], Tensor]


def perturbation(
    forward: Forward,
    embeds: Tensor,
    clean_logits: Tensor,
    divergence: Measure,
    mask: Tensor,
    config: SmoothnessConfig,
    generator: torch.Generator,
    *,
    units: int | Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Compute delta by T_x ascent steps.

    The arguments are those of :func:`smoothness_loss`.

    Returns:
        delta, (N,T,E), without gradient, and a bool scalar: whether all divergences and gradients
        were finite. If not, delta is 0.
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
        delta = _step(delta.detach(), gradient, mask, config, units)
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
    half: Measure | None = None,
    units: int | Tensor | None = None,
    origin: Tensor | None = None,
    wide_logits: Callable[[], Tensor] | None = None,
    measure_gain: bool = False,
) -> tuple[Tensor, SmoothnessStats]:
    """Compute R_s of one batch.

    If the term or a gradient of the ascent is not finite, the term and its gradient are 0. This is
    decided on the device, without synchronization. Infinite activations inside the model at x itself
    still lead to NaN gradients of the weights, as they do in the supervised loss.

    Args:
        forward: embeddings (N,T,E) -> logits. See the module docstring for dropout and autocast.
        embeds: x, (N,T,E), with its graph; the final pass also trains the word embeddings. Zeros if
            ``forward`` takes delta and adds it to x itself.
        clean_logits: f(x) with its graph; ignored with ``dropout: off``, and under autocast with
            ``precision: float32``, which needs f(x) in float32.
        divergence: l_s, (perturbed logits, clean logits) -> scalar, the mean over examples.
        mask: (N,T), true or 1 on real tokens.
        config: resolved (:func:`mt_dnn.config.presets.resolve`).
        generator: source of the noise, the only random numbers that this function draws. A generator
            on the device of ``embeds`` avoids a copy.
        half: d, (target logits, logits) -> scalar, for ``detach: own_target``; None: l_s / 2.
        units: the number of units that ``divergence`` averages over, for ``ascent: normalized``;
            None: N.
        origin: x, (N,T,E), for the statistics, where ``embeds`` is zeros.
        wide_logits: computes f(x) in float32 with its graph, if the caller has another use for it; None:
            this function computes it by ``forward``.
        measure_gain: also compute the divergence at random signs, by one more forward pass without
            gradient. The loss does not depend on this argument.

    Returns:
        R_s without its weight, a scalar, and its statistics.

    Example::

        loss, stats = smoothness_loss(
            forward=lambda perturbed: model.logits(perturbed, batch),
            embeds=embeds,
            clean_logits=model.logits(embeds, batch),
            divergence=lambda p, q: symmetric_kl(p, q).mean(),
            mask=batch.attention_mask,
            config=config,
            generator=torch.Generator(embeds.device).manual_seed(1),
        )
    """
    device = embeds.device.type
    widen = config.precision != "autocast" and torch.is_autocast_enabled(device)
    with torch.autocast(device, enabled=False) if widen else nullcontext():
        if widen:
            embeds = embeds.to(torch.promote_types(embeds.dtype, torch.float32))
        if widen and wide_logits is not None:
            clean_logits = wide_logits()
        elif widen or config.dropout == "off":
            with torch.no_grad() if config.detach == "clean" else nullcontext():
                clean_logits = forward(embeds)
        if config.detach == "clean":
            clean_logits = clean_logits.detach()
        term = _pair(divergence, half) if config.detach == "own_target" else divergence

        if config.ascent == "accumulated":
            values, delta, finite = _accumulated(
                forward, embeds, clean_logits, term, mask, config, generator
            )
        else:
            delta, finite = perturbation(
                forward, embeds, clean_logits, divergence, mask, config, generator, units=units
            )
            value, final = _guarded(term, forward(embeds + delta), clean_logits)
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
        delta_ratio=delta_ratio(delta, (embeds if origin is None else origin).detach(), mask),
        edge=edge_fraction(delta, mask, config),
        dropped=(~finite).to(loss.dtype),
        random=random,
        gain=None if gain is None else gain.detach(),
    )
    return loss, stats


def _noise(
    embeds: Tensor, mask: Tensor, config: SmoothnessConfig, generator: torch.Generator
) -> Tensor:
    """Draw the initial noise nu, (N,T,E), in float32 or wider; 0 on padding."""
    assert config.sigma is not None
    dtype = torch.promote_types(embeds.dtype, torch.float32)
    noise = torch.zeros(embeds.shape, dtype=dtype, device=generator.device)
    if config.noise == "normal":
        noise.normal_(0, config.sigma, generator=generator)
    elif config.noise == "uniform":
        noise.uniform_(-config.sigma, config.sigma, generator=generator)
    return noise.to(embeds.device).masked_fill(~mask.bool().unsqueeze(-1), 0.0)


def _constrain(delta: Tensor, mask: Tensor, config: SmoothnessConfig) -> Tensor:
    """Project delta onto the ball or, with ascent normalized, scale it to the surface."""
    assert config.epsilon is not None
    norm, scope = str(config.norm), str(config.norm_scope)
    if config.ascent == "normalized":
        return config.epsilon * unit(delta, norm=norm, scope=scope)
    return project(delta, epsilon=config.epsilon, norm=norm, scope=scope, mask=mask)


def _pair(divergence: Measure, half: Measure | None) -> Measure:
    """Return l_s as d(P, Q) + d(Q, P) whose first arguments, the targets, are constants."""

    def pair(p_logits: Tensor, q_logits: Tensor) -> Tensor:
        if half is None:
            sides = (p_logits, q_logits.detach()), (p_logits.detach(), q_logits)
            return (divergence(*sides[0]) + divergence(*sides[1])) / 2
        return half(q_logits.detach(), p_logits) + half(p_logits.detach(), q_logits)

    return pair


def _step(
    delta: Tensor,
    gradient: Tensor,
    mask: Tensor,
    config: SmoothnessConfig,
    units: int | Tensor | None,
) -> Tensor:
    """Take one ascent step from ``delta``; all tensors are (N,T,E)."""
    assert config.step_size is not None
    gradient = gradient.masked_fill(~mask.bool().unsqueeze(-1), 0.0)
    if config.ascent == "normalized":
        direction = gradient * (len(gradient) if units is None else units)  # of the sum over units
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
    """Return l_s at K iterates, (K,), the last iterate, and whether all was finite."""
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
            moved = _step(delta.detach(), gradient, mask, config, None)
            delta = torch.where(finite, moved, 0.0)
    return torch.stack(values), delta, finite


def _guarded(divergence: Measure, perturbed: Tensor, clean: Tensor) -> tuple[Tensor, Tensor]:
    """Return the divergence, or 0 if it is not finite, and whether it is finite.

    Multiplying a non-finite value by 0 would still give NaN gradients (0 times infinity), so hooks
    also set the gradient of the logits to 0. The hook of ``clean`` is on a view, because the
    supervised loss uses ``clean`` too.
    """
    pair = perturbed, clean.view_as(clean)
    value = divergence(*pair)
    finite = value.detach().isfinite()
    for logits in pair:
        if logits.requires_grad:
            logits.register_hook(lambda gradient: gradient.masked_fill(~finite, 0.0))
    return torch.where(finite, value, 0.0), finite
