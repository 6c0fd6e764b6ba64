"""SMART's settings, and the named sets of them. No torch here."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args, get_type_hints

from data_utils.errors import UserError
from data_utils.registry import choices_hint


@dataclass(frozen=True)
class SmoothnessConfig:
    """The smoothness-inducing adversarial term R_s (arXiv 1911.03437, section 3.1). null: the preset's value."""

    weight: float | None = None
    """lambda_s; 0 switches the term off and skips its work."""
    ascent: Literal["projected", "normalized", "accumulated", "none"] | None = None
    """How the noise climbs: projected is SMART's Algorithm 1 (a step, then back onto the ball of radius epsilon); normalized is the released MT-DNN (noise plus step_size times the raw gradient, rescaled to norm epsilon); accumulated is FreeLB (projected, and the term is the mean over all iterates); none keeps the noise as drawn."""
    epsilon: float | None = None
    """Radius of the ball around the word embeddings, in their own units (BERT's are about 0.05 a coordinate)."""
    step_size: float | None = None
    """eta, length of one ascent step, in the chosen norm (normalized: factor of the raw gradient)."""
    steps: int | None = None
    """T_x, ascent steps; each costs a forward and a backward pass. accumulated: number of iterates, the start included."""
    noise: Literal["normal", "uniform", "zero"] | None = None
    """Distribution of the starting noise."""
    sigma: float | None = None
    """Scale of the starting noise: standard deviation if normal, half width if uniform."""
    norm: Literal["linf", "l2", "l1"] | None = None
    """p of the ball and of the step, g / ||g||_p."""
    norm_scope: Literal["token", "sentence"] | None = None
    """Whether a norm spans one token's vector or the whole sequence."""
    dropout: Literal["shared", "independent", "off"] | None = None
    """Dropout masks of the clean and the perturbed passes: identical; freshly drawn (the term then also measures dropout noise, as R-Drop does); or none in either (one more clean pass)."""
    precision: Literal["float32", "autocast"] | None = None
    """Of the term's passes when system.precision is bf16 or fp16, which round a radius of 1e-5 away. float32 then costs one more clean pass."""
    divergence: Literal["symmetric_kl", "kl", "js", "hellinger", "squared_error"] | None = None
    """l_s; null (in the preset too): the task's own."""
    detach_clean: bool | None = None
    """Treat the clean prediction as a constant; the gradient then flows through the perturbed side alone."""


@dataclass(frozen=True)
class ProximalConfig:
    """The Bregman proximal term D_Breg (arXiv 1911.03437, section 3.2). null: the preset's value."""

    weight: float | None = None
    """mu; 0 switches the term off and skips its work."""
    teacher: Literal["mbpp", "vbpp"] | None = None
    """theta_tilde: mbpp averages past parameters with momentum beta; vbpp copies the current ones (with steps 1 its term is 0 but for dropout)."""
    beta: float | None = None
    """Momentum of mbpp over the first part of the run."""
    beta_late: float | None = None
    """Momentum of mbpp after that."""
    beta_switch: float | None = None
    """Fraction of all updates after which beta becomes beta_late."""
    steps: int | None = None
    """S, optimizer updates between two updates of theta_tilde."""


# As printed in arXiv 1911.03437, Algorithm 1 and section 4.1: the norm is that of x_i, the whole
# sequence. The paper does not say how dropout masks relate; shared ones make R_s vanish with epsilon.
_SMART = SmoothnessConfig(
    weight=1.0,
    ascent="projected",
    epsilon=1e-5,
    step_size=1e-3,
    steps=1,
    noise="normal",
    sigma=1e-5,
    norm="linf",
    norm_scope="sentence",
    dropout="shared",
    precision="float32",
    divergence=None,
    detach_clean=False,
)
_MBPP = ProximalConfig(
    weight=1.0, teacher="mbpp", beta=0.99, beta_late=0.999, beta_switch=0.1, steps=1
)
_NO_PROXIMAL = replace(_MBPP, weight=0.0)

PRESETS: dict[str, tuple[SmoothnessConfig, ProximalConfig]] = {
    # Both terms off, every number SMART's: --smoothness.weight 1 alone is R_s as in the paper.
    "off": (replace(_SMART, weight=0.0), _NO_PROXIMAL),
    "smart": (_SMART, _MBPP),
    # What namisan/mt-dnn's --adv_train computes by default, on word embeddings and real tokens only:
    # nothing projects, so its perturbation has norm 1 per token whatever radius one declares.
    "mtdnn_release": (
        replace(
            _SMART,
            ascent="normalized",
            epsilon=1.0,
            step_size=1e-5,
            norm_scope="token",
            dropout="independent",
            detach_clean=True,
        ),
        _NO_PROXIMAL,
    ),
    # arXiv 2008.03156: lambda in {0.1, 0.5, 1, 5}, noise of scale 1e-5; its two passes draw their
    # own dropout masks.
    "r3f": (
        replace(_SMART, ascent="none", steps=0, noise="uniform", dropout="independent"),
        _NO_PROXIMAL,
    ),
    # arXiv 1909.11764, its published MNLI run: 2 steps of 0.1 in the Frobenius norm of the sequence,
    # radius 0.3, one dropout mask for all of them. Its start is U(-0.1, 0.1) / sqrt(T E) per
    # coordinate: sigma at T = 80, E = 768.
    "freelb": (
        replace(
            _SMART,
            ascent="accumulated",
            epsilon=0.3,
            step_size=0.1,
            steps=2,
            noise="uniform",
            sigma=4e-4,
            norm="l2",
        ),
        _NO_PROXIMAL,
    ),
    # arXiv 2106.14448: alpha = 1 times the MEAN of both KLs, hence 0.5 of their sum. Dropout noise
    # is far above rounding, so autocast may stay on. The second pass carries no supervised loss.
    "rdrop": (
        replace(
            _SMART,
            weight=0.5,
            ascent="none",
            steps=0,
            noise="zero",
            sigma=0.0,
            dropout="independent",
            precision="autocast",
        ),
        _NO_PROXIMAL,
    ),
    # arXiv 2010.12638: the posterior of a noisy input, compared by another f-divergence; here with
    # SMART's noise and ascent. For small differences both are 1/8 of the symmetric KL.
    "pdr_js": (replace(_SMART, divergence="js"), _NO_PROXIMAL),
    "pdr_hellinger": (replace(_SMART, divergence="hellinger"), _NO_PROXIMAL),
}


def resolve(
    preset: str, smoothness: SmoothnessConfig, proximal: ProximalConfig
) -> tuple[SmoothnessConfig, ProximalConfig]:
    """Both with every null filled from ``preset`` (``smoothness.divergence`` may stay None).

    Raises:
        UserError: unknown preset, or a value out of its range; names the field as the user writes it.
    """
    if preset not in PRESETS:
        raise UserError(f"smart: unknown preset {preset!r}.{choices_hint(preset, PRESETS)}")
    preset_smoothness, preset_proximal = PRESETS[preset]
    smoothness = _fill(smoothness, preset_smoothness)
    proximal = _fill(proximal, preset_proximal)
    _check_choices("smoothness", smoothness)
    _check_choices("proximal", proximal)
    _check_smoothness(smoothness)
    _check_proximal(proximal)
    return smoothness, proximal


def _fill(given: Any, preset: Any) -> Any:
    written = {f.name: getattr(given, f.name) for f in fields(given)}
    return replace(preset, **{name: value for name, value in written.items() if value is not None})


def _check_choices(group: str, config: Any) -> None:
    for name, hint in get_type_hints(type(config)).items():
        choices = [choice for part in get_args(hint) for choice in get_args(part)]
        value = getattr(config, name)
        if choices and value is not None and value not in choices:
            raise UserError(
                f"{group}.{name}: unknown value {value!r}.{choices_hint(value, choices)}"
            )


def _require(group: str, config: Any, rules: dict[str, tuple[Callable[[Any], bool], str]]) -> None:
    for name, (holds, must) in rules.items():
        value = getattr(config, name)
        if not holds(value):  # written so that NaN fails
            raise UserError(f"{group}.{name}: {must}, got {value!r}")


_NOT_NEGATIVE = (lambda v: 0 <= v < math.inf, "must be 0 or more")


def _check_smoothness(c: SmoothnessConfig) -> None:
    least = 1 if c.ascent == "accumulated" else 0
    _require(
        "smoothness",
        c,
        {
            "weight": _NOT_NEGATIVE,
            "epsilon": (lambda v: 0 < v < math.inf, "the radius must be greater than 0"),
            "step_size": _NOT_NEGATIVE,
            "steps": (lambda v: v >= least, f"with ascent {c.ascent} must be {least} or more"),
            "sigma": _NOT_NEGATIVE,
        },
    )
    climbs = c.ascent != "none" and c.steps != 0 and c.dropout != "independent"
    if climbs and (c.noise == "zero" or c.sigma == 0):
        name = "noise" if c.noise == "zero" else "sigma"
        raise UserError(
            f"smoothness.{name}: without noise the ascent starts at the clean input, where the "
            "divergence has no gradient, and stays there; draw noise, or set smoothness.ascent none"
        )


def _check_proximal(c: ProximalConfig) -> None:
    momentum = (lambda v: 0 <= v < 1, "must be at least 0 and below 1")
    _require(
        "proximal",
        c,
        {
            "weight": _NOT_NEGATIVE,
            "beta": momentum,
            "beta_late": momentum,
            "beta_switch": (lambda v: 0 <= v <= 1, "must be between 0 and 1"),
            "steps": (lambda v: v >= 1, "must be 1 or more"),
        },
    )
