"""SDPA attention that never asks the device whether a batch is padded.

transformers reads ``attention_mask.all()`` in every forward pass, to leave the mask out where it masks
nothing: on a GPU the host then waits for all that is queued. Here the host knows, because it padded
the batch, and gives no mask at all where there is no padding.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

NAME = "sdpa_mask_decided_on_host"


def decide_mask_on_host(model: PreTrainedModel) -> None:
    """Switch a model that runs on SDPA to the same kernels behind :func:`_mask`.

    cuDNN's attention, which torch prefers on Hopper, is switched off for the process. It builds a plan
    for every new shape, and batches grouped by length have many: on an H100 that took 70 ms of host time
    per update, where the update's kernels took 3 ms (benchmarks/README.md).
    """
    torch.backends.cuda.enable_cudnn_sdp(False)
    if model.config._attn_implementation == "sdpa":
        AttentionInterface.register(NAME, sdpa_attention_forward)
        AttentionMaskInterface.register(NAME, _mask)
        model.set_attn_implementation(NAME)


def _mask(
    *,
    attention_mask: Tensor | None = None,
    allow_is_bidirectional_skip: bool = True,
    **kwargs: Any,
) -> Tensor | None:
    """transformers' mask for SDPA; left out only where none was given, whatever is in it."""
    skip = allow_is_bidirectional_skip and attention_mask is None
    return sdpa_mask(attention_mask=attention_mask, allow_is_bidirectional_skip=skip, **kwargs)
