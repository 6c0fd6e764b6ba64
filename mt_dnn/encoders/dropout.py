"""Dropout whose masks are cheap to draw on a CPU.

torch draws the elements of a mask one by one on a single thread: two random numbers and 4.5 ns for each.
In fine-tuning a small encoder on two cores, that was 15% of an update in float32 and 29% in bfloat16. Here
a random number of 64 bits decides about four elements, for 0.7 ns an element (benchmarks/README.md).

On other devices and in compiled code torch draws the masks.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEVELS = 2**16
"""The rate of dropout is rounded to a multiple of 1 / LEVELS."""


class CheapDropout(nn.Dropout):
    """``nn.Dropout`` by :func:`dropout`."""

    def forward(self, input: Tensor) -> Tensor:
        return dropout(input, self.p) if self.training else input


def dropout(x: Tensor, rate: float) -> Tensor:
    """Zero each element with probability ``rate`` and scale the others, so that the mean stays.

    The scale is 1 / (1 - rate), with the rounded rate. The mask depends on torch's global generator and the
    number of elements.

    Args:
        x: any shape; floating point.
        rate: probability in [0, 1].
    """
    dropped = round(rate * LEVELS)
    if not drawn_here(x) or not 0 < dropped < LEVELS:
        return F.dropout(x, rate)
    # Scaling apart rounds each product once; in bfloat16, 1 / (1 - rate) itself is off by up to 0.4%.
    return (x * _keep(x, dropped)).mul_(LEVELS / (LEVELS - dropped))


def drawn_here(x: Tensor) -> bool:
    """Whether this module draws the masks for ``x``, rather than torch."""
    return x.device.type == "cpu" and not torch.compiler.is_compiling()


def _keep(x: Tensor, dropped: int) -> Tensor:
    """Draw the mask, of the shape and type of ``x``: 0 with probability ``dropped`` / LEVELS, or 1."""
    draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    levels = draws.view(torch.int16)[: x.numel()].view(x.shape)  # uniform in -2^15 .. 2^15 - 1
    return torch.ge(levels, dropped - LEVELS // 2, out=torch.empty(x.shape, dtype=x.dtype))


def make_dropout_cheap(model: nn.Module) -> None:
    """Replace all ``nn.Dropout`` of ``model`` by :class:`CheapDropout`, in place."""
    for module in model.modules():
        for name, child in module.named_children():
            if type(child) is nn.Dropout:
                module.register_module(name, CheapDropout(child.p).train(child.training))
