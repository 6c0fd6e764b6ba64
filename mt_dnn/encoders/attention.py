"""SDPA attention without a device synchronization per forward pass.

transformers reads ``attention_mask.all()`` in every forward pass, to omit a mask that masks nothing.
On a GPU the host then waits for all queued kernels. In this package the host knows whether a batch is
padded, because it padded the batch, and callers pass no mask if there is no padding.

This uses the registries of attention functions and masks in transformers; tested with releases 5.17.0
and 5.24.0.
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
    """Make an SDPA model build its masks by :func:`_mask`; same kernels.

    This also switches off the attention of cuDNN, which torch prefers on Hopper GPUs, for the whole
    process. cuDNN builds a plan for every new shape, and batches grouped by length have many shapes: on
    an H100, updates with new shapes spent 156 ms of host time on the plans and 3 ms in kernels
    (benchmarks/gpu_h100.md).
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
    """Build the SDPA mask; omit it only if none is given, without reading its values."""
    skip = allow_is_bidirectional_skip and attention_mask is None
    return sdpa_mask(attention_mask=attention_mask, allow_is_bidirectional_skip=skip, **kwargs)
