"""SDPA attention of transformers with two changes.

**No device synchronization.** transformers reads ``attention_mask.all()`` in every forward pass, to omit a
mask that masks nothing. On a GPU the host then waits for all queued kernels. In this package the host knows
whether a batch is padded, because it padded the batch, and callers pass no mask if there is no padding.

**Cheap dropout on a CPU.** With dropout, no fused SDPA kernel runs on a CPU. torch then computes attention
in single steps, in float32 under autocast too, and draws the masks slowly. :func:`attention` does the same
steps with :func:`mt_dnn.encoders.dropout.dropout`, and its matrix products follow autocast.

This uses the registries of attention functions and masks in transformers; tested with releases 5.17.0
and 5.24.0.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from mt_dnn.encoders.dropout import drawn_here
from mt_dnn.encoders.dropout import dropout as cheap_dropout

NAME = "sdpa_of_mt_dnn"


def use_own_sdpa(model: PreTrainedModel) -> None:
    """Make an SDPA model build its masks by :func:`_mask` and attend by :func:`_sdpa`.

    This also switches off the attention of cuDNN, which torch prefers on Hopper GPUs, for the whole
    process. cuDNN builds a plan for every new shape, and batches grouped by length have many shapes: on
    an H100, updates with new shapes spent 156 ms of host time on the plans and 3 ms in kernels
    (benchmarks/gpu_h100.md).
    """
    torch.backends.cuda.enable_cudnn_sdp(False)
    if model.config._attn_implementation == "sdpa":
        AttentionInterface.register(NAME, _sdpa)
        AttentionMaskInterface.register(NAME, _mask)
        model.set_attn_implementation(NAME)


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    *,
    scale: float | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """Compute softmax(scale q k^T + mask) v in single steps, with dropout of the probabilities.

    Args:
        query, key, value: (N, heads, T, d).
        mask: broadcasts to (N, heads, T, T): bool, true where a query may attend, or a number that is
            added to the scores.
        scale: None: d^-0.5 (arXiv 1706.03762, equation 1).
        dropout: rate of dropout.

    Returns:
        (N, heads, T, d).
    """
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    scores = (query * scale) @ key.mT  # (N, heads, T, T)
    if mask is not None:
        if mask.dtype == torch.bool:
            lowest = torch.finfo(scores.dtype).min
            mask = torch.zeros((), dtype=scores.dtype).where(mask, lowest)
        scores = scores + mask
    return cheap_dropout(scores.softmax(dim=-1), dropout) @ value


def _sdpa(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attend as transformers' SDPA does; (N, heads, T, d) -> (N, T, heads, d)."""
    # What only decoders and T5 use is left to transformers.
    causal = attention_mask is None and (kwargs.get("is_causal") or module.is_causal)
    grouped = getattr(module, "num_key_value_groups", 1) > 1
    special = causal or grouped or kwargs.get("position_bias") is not None
    if dropout and drawn_here(query) and not special:
        mixed = attention(query, key, value, attention_mask, scale=scaling, dropout=dropout)
        return mixed.transpose(1, 2).contiguous(), None
    return sdpa_attention_forward(
        module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
    )


def _mask(
    *,
    attention_mask: Tensor | None = None,
    allow_is_bidirectional_skip: bool = True,
    **kwargs: Any,
) -> Tensor | None:
    """Build the SDPA mask; omit it only if none is given, without reading its values."""
    skip = allow_is_bidirectional_skip and attention_mask is None
    return sdpa_mask(attention_mask=attention_mask, allow_is_bidirectional_skip=skip, **kwargs)
