"""Encoders whose attention is sparse: the global token of Longformer, the attention type of BigBird."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import torch
from torch import Tensor
from transformers import PreTrainedModel


def has_global_attention(model: PreTrainedModel) -> bool:
    """Return whether the caller chooses the tokens with global attention, as in Longformer."""
    return "global_attention_mask" in inspect.signature(model.forward).parameters


def first_token_is_global(embeds: Tensor) -> Tensor:
    """Return a mask (N, T) that is 1 at the first token, which then sees all tokens and is seen by all.

    Without it, the first token would see half a window of the text. Source: Beltagy et al., arXiv
    2004.05150, section 3.1, for classification.

    Args:
        embeds: (N, T, E).
    """
    mask = torch.zeros(embeds.shape[:2], dtype=torch.long, device=embeds.device)
    mask[:, 0] = 1
    return mask


def choose_attention_type(model: PreTrainedModel, length: int) -> None:
    """Choose sparse or full attention for sequences of ``length`` tokens; only BigBird has the choice.

    BigBird needs full attention where its blocks do not fit. The forward pass of transformers then changes
    the model for good, so that what a batch computes would depend on the batches before it, and draws
    from the global generator, so that two passes would have different dropout masks.

    Source: Zaheer et al., arXiv 2007.14062; the limit is that of BigBirdModel.forward.
    """
    config = model.config
    if getattr(config, "attention_type", None) != "block_sparse":
        return
    limit = (5 + 2 * config.num_random_blocks) * config.block_size
    change: Callable[[str], None] = model.set_attention_type  # type: ignore[assignment]
    with torch.device("meta"):  # layers are created for the weights to move to; they need no data
        change("block_sparse" if length > limit else "original_full")
