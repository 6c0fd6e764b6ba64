"""Statistics of the smoothness term: size of the perturbation, share at the edge of the ball, gain."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mt_dnn.config.smart import SmoothnessConfig
from mt_dnn.objective.norm_ball import norms


class SmoothnessStats(NamedTuple):
    """Statistics of the term: detached scalars on the device.

    Reading a value synchronizes with the device, so read them only when logging.
    """

    loss: Tensor
    """R_s of this batch, without its weight."""
    delta_ratio: Tensor
    """||delta||_2 / ||x||_2 over the real tokens of the batch."""
    edge: Tensor
    """Fraction of coordinates (linf), or else of tokens or sentences, at the edge of the ball."""
    dropped: Tensor
    """1 if the term was set to 0 because one of its values was not finite, else 0."""
    random: Tensor | None
    """l_s at random signs with the norm of delta on every token; None unless measured."""
    gain: Tensor | None
    """l_s at delta divided by ``random``; above 1 if the ascent is effective. None unless measured."""


def delta_ratio(delta: Tensor, embeds: Tensor, mask: Tensor) -> Tensor:
    """||delta||_2 / ||x||_2 over the real tokens, a scalar."""
    real = embeds.masked_fill(~mask.bool().unsqueeze(-1), 0.0)
    return torch.linalg.vector_norm(delta.detach()) / torch.linalg.vector_norm(real)


def edge_fraction(delta: Tensor, mask: Tensor, config: SmoothnessConfig) -> Tensor:
    """Fraction of coordinates, tokens or sentences at the edge of the ball, a scalar."""
    assert config.epsilon is not None
    norm, scope = str(config.norm), str(config.norm_scope)
    size = delta.detach().abs() if norm == "linf" else norms(delta.detach(), norm=norm, scope=scope)
    real = mask.bool().unsqueeze(-1)
    if norm != "linf" and scope == "sentence":
        real = real.any(1, keepdim=True)
    real = real.expand_as(size)
    return ((size >= config.epsilon * (1 - 1e-4)) & real).sum() / real.sum().clamp(min=1)
