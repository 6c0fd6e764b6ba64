"""The output layer of heads, in float32 under autocast too."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Output(nn.Linear):
    """A linear layer that computes in the dtype of its weights, (..., H) -> (..., n_out).

    bfloat16 keeps 8 significant bits, so that predictions of a regression near 3.5 would be multiples of
    1/64 and many of them equal. The layer is small: its cost is not measurable. Layers over a vocabulary
    (:mod:`mt_dnn.heads.mask_lm`, :mod:`mt_dnn.heads.decoder`) stay in the precision of autocast.
    """

    def forward(self, features: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            return super().forward(features.to(self.weight.dtype))
