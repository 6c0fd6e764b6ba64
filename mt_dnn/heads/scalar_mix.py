"""Scalar mix: a learned weighted mean of an encoder's layers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

LAYERS = ("last", "scalar_mix")
"""What a head reads: the hidden states of the last layer, or a learned mixture of all layers."""


class ScalarMix(nn.Module):
    """Mix layers: gamma * sum_j s_j h_j with s = softmax(w).

    w starts at 0 and gamma at 1, which gives the mean of the layers.

    Args:
        count: number of layers, the output of the embeddings included: L + 1.

    Source: Peters et al. 2018, arXiv 1802.05365, eq. 1.

    Example::

        mix = ScalarMix(13)
        hidden = mix(encoder.hidden_states(embeds, mask))  # 13 of (N, T, H) -> (N, T, H)
    """

    def __init__(self, count: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(count))
        self.gamma = nn.Parameter(torch.ones(1))

    def forward(self, layers: Sequence[Tensor]) -> Tensor:
        """Mix layers of (N, T, H) to (N, T, H), in their dtype."""
        shares = self.gamma * self.weights.softmax(0)  # (L + 1,)
        mixed = shares[0] * layers[0]
        for share, layer in zip(shares[1:], layers[1:], strict=True):
            mixed = mixed + share * layer
        return mixed
