"""Presets of SMART and its relatives, and what an unset field of both sections becomes. No torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields, replace
from functools import cache
from typing import Any, get_args, get_type_hints

from data_utils.errors import UserError
from data_utils.registry import choices_hint
from mt_dnn.config.smart import ProximalConfig, SmoothnessConfig

# The values of arXiv 1911.03437, Algorithm 1 and section 4.1. The norm is that of x_i, the whole
# sequence. step_size and sigma follow epsilon in the ratios of the paper (eta 1e-3 and sigma 1e-5 at
# epsilon 1e-5). The paper does not specify the dropout masks; with shared masks R_s tends to 0 with
# epsilon.
_SMART = SmoothnessConfig(
    weight=1.0,
    ascent="projected",
    epsilon=1e-5,
    space="words",
    step_size=None,
    steps=1,
    noise="normal",
    sigma=None,
    norm="linf",
    norm_scope="sentence",
    dropout="shared",
    precision="auto",
    divergence=None,
    detach="none",
    balance=None,
    balance_every=100,
)
STEP_RATIO, SIGMA_RATIO = 100.0, 1.0
"""eta / epsilon and sigma / epsilon of the paper."""
_MBPP = ProximalConfig(
    weight=1.0,
    teacher="mbpp",
    beta=0.99,
    beta_late=0.999,
    beta_switch=0.1,
    steps=1,
    horizon=None,
    dropout="shared",
    precision="float32",
)
_NO_PROXIMAL = replace(_MBPP, weight=0.0)

PRESETS: dict[str, tuple[SmoothnessConfig, ProximalConfig]] = {
    # Both terms are off, and all other values are those of SMART: setting only
    # --smoothness.weight 1 gives R_s as in the paper.
    "off": (replace(_SMART, weight=0.0), _NO_PROXIMAL),
    "smart": (_SMART, _MBPP),
    # The default of --adv_train in namisan/mt-dnn, restricted to real tokens. That code perturbs what
    # enters the first layer. It does not project, so the perturbation has norm 1 per token for any
    # configured radius. Each KL of its symmetric pair holds its own target. It applies the embedding
    # block a second time to the perturbed output; this preset does not.
    "mtdnn_release": (
        replace(
            _SMART,
            ascent="normalized",
            epsilon=1.0,
            space="embedding_output",
            step_size=1e-5,
            sigma=1e-5,
            norm_scope="token",
            dropout="independent",
            detach="own_target",
        ),
        _NO_PROXIMAL,
    ),
    # arXiv 2008.03156: lambda in {0.1, 0.5, 1, 5} and noise of scale 1e-5. The two passes draw
    # independent dropout masks.
    "r3f": (
        replace(
            _SMART,
            ascent="none",
            step_size=1e-3,
            steps=0,
            noise="uniform",
            sigma=1e-5,
            dropout="independent",
        ),
        _NO_PROXIMAL,
    ),
    # arXiv 1909.11764, the published MNLI run: 2 steps of 0.1 in the Frobenius norm of the sequence,
    # radius 0.3, one dropout mask for all steps. Its initial noise is U(-0.1, 0.1) / sqrt(T E) per
    # coordinate; sigma is this scale at T = 80 and E = 768.
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
    # arXiv 2106.14448: alpha = 1 times the MEAN of both KL divergences, hence 0.5 times their sum.
    # Dropout noise is much larger than rounding errors, so the passes may run under autocast. Unlike
    # in the paper, the second pass has no supervised loss.
    "rdrop": (
        replace(
            _SMART,
            weight=0.5,
            ascent="none",
            step_size=1e-3,
            steps=0,
            noise="zero",
            sigma=0.0,
            dropout="independent",
            precision="autocast",
        ),
        _NO_PROXIMAL,
    ),
    # arXiv 2010.12638 compares the posteriors of a clean and a noisy input by another f-divergence;
    # here with the noise and the ascent of SMART. For small differences both divergences equal 1/8
    # of the symmetric KL.
    "pdr_js": (replace(_SMART, divergence="js"), _NO_PROXIMAL),
    "pdr_hellinger": (replace(_SMART, divergence="hellinger"), _NO_PROXIMAL),
}


def check_preset(name: str, where: str = "smart") -> None:
    """Check that a preset exists.

    Raises:
        UserError: it does not; the message begins with ``where`` and lists all.
    """
    if name not in PRESETS:
        raise UserError(f"{where}: unknown preset {name!r}.{choices_hint(name, PRESETS)}")


def resolve(
    preset: str, smoothness: SmoothnessConfig, proximal: ProximalConfig
) -> tuple[SmoothnessConfig, ProximalConfig]:
    """Fill every None from a preset and check the values.

    Args:
        preset: a key of :data:`PRESETS`.
        smoothness: settings of the user; None fields are filled.
        proximal: settings of the user; None fields are filled.

    Returns:
        Both without None, except ``smoothness.divergence``, where None selects the task's divergence,
        ``smoothness.balance`` and ``proximal.horizon``, where None switches them off.
        Resolving the result changes nothing. Where neither the user nor the preset sets ``step_size`` or
        ``sigma``, they follow ``epsilon`` by :data:`STEP_RATIO` and :data:`SIGMA_RATIO`.

    Raises:
        UserError: the preset is unknown or a value is out of range. The message names the field as
            the user writes it, such as ``smoothness.steps``.

    Example::

        smoothness, proximal = resolve("smart", SmoothnessConfig(steps=2), ProximalConfig())
    """
    check_preset(preset)
    preset_smoothness, preset_proximal = PRESETS[preset]
    smoothness = _follow_epsilon(_fill(smoothness, preset_smoothness))
    proximal = _fill(proximal, preset_proximal)
    _check_choices("smoothness", smoothness)
    _check_choices("proximal", proximal)
    _check_smoothness(smoothness)
    _check_proximal(proximal)
    return smoothness, proximal


def _fill(given: Any, preset: Any) -> Any:
    """Return a copy of ``preset`` with the fields of ``given`` that are not None."""
    written = {f.name: getattr(given, f.name) for f in fields(given)}
    return replace(preset, **{name: value for name, value in written.items() if value is not None})


def _follow_epsilon(c: SmoothnessConfig) -> SmoothnessConfig:
    """Return a copy in which step_size and sigma are numbers."""
    assert c.epsilon is not None
    return replace(
        c,
        step_size=STEP_RATIO * c.epsilon if c.step_size is None else c.step_size,
        sigma=SIGMA_RATIO * c.epsilon if c.sigma is None else c.sigma,
    )


def _check_choices(group: str, config: Any) -> None:
    """Check the fields that have fixed choices; ``group`` is the section to report."""
    section: Any = type(config)
    for name, choices in _choices(section).items():
        value = getattr(config, name)
        if value is not None and value not in choices:
            raise UserError(
                f"{group}.{name}: unknown value {value!r}.{choices_hint(value, choices)}"
            )


@cache
def _choices(section: type) -> dict[str, list[Any]]:
    """Field of a section -> its fixed choices; other fields are left out."""
    choices = {
        name: [choice for part in get_args(hint) for choice in get_args(part)]
        for name, hint in get_type_hints(section).items()
    }
    return {name: fixed for name, fixed in choices.items() if fixed}


def _require(group: str, config: Any, rules: dict[str, tuple[Callable[[Any], bool], str]]) -> None:
    """Check fields of ``config`` by rules: field -> (condition, text of the message)."""
    for name, (holds, must) in rules.items():
        value = getattr(config, name)
        if not holds(value):  # the conditions are written so that NaN fails
            raise UserError(f"{group}.{name}: {must}, got {value!r}")


_NOT_NEGATIVE = (lambda v: 0 <= v < math.inf, "must be 0 or more")


def _check_smoothness(c: SmoothnessConfig) -> None:
    """Raise a UserError for a value out of range, or for an ascent that cannot move."""
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
            "balance": (lambda v: v is None or 0 < v < math.inf, "must be null or above 0"),
            "balance_every": (lambda v: v >= 1, "must be 1 or more"),
        },
    )
    needs_noise = c.ascent != "none" and c.steps != 0 and c.dropout != "independent"
    if needs_noise and (c.noise == "zero" or c.sigma == 0):
        name = "noise" if c.noise == "zero" else "sigma"
        raise UserError(
            f"smoothness.{name}: without noise the ascent starts at the clean input, where the "
            "gradient of the divergence is 0, so the perturbation stays 0. Set smoothness.noise to "
            "normal or uniform with a sigma above 0, or smoothness.ascent to none."
        )


def _check_proximal(c: ProximalConfig) -> None:
    """Raise a UserError for a value out of range."""
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
            "horizon": (
                lambda v: v is None or 0 < v <= 1,
                "must be null, or above 0 and at most 1",
            ),
        },
    )
    if c.horizon is not None and c.teacher == "vbpp":
        raise UserError(
            "proximal.horizon: the teacher vbpp keeps no average. Set proximal.teacher to mbpp, or "
            "proximal.horizon to null."
        )
