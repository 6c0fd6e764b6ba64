"""SMART's settings, and the named sets of them. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class SmoothnessConfig:
    """The smoothness-inducing adversarial term R_s (arXiv 1911.03437, section 3.1). null: the preset's value."""

    weight: float | None = None
    """lambda_s; 0 switches the term off and skips its work."""


@dataclass(frozen=True)
class ProximalConfig:
    """The Bregman proximal term D_Breg (arXiv 1911.03437, section 3.2). null: the preset's value."""

    weight: float | None = None
    """mu; 0 switches the term off and skips its work."""
