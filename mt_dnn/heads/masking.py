"""Masking for masked language models: choice of positions, replacement of tokens."""

from __future__ import annotations

import torch
from torch import Tensor

UNTOUCHED = -1
"""Marks a position whose token is not replaced."""


def choose_positions(
    word_ids: Tensor, *, probability: float, whole_word: bool, generator: torch.Generator
) -> Tensor:
    """Choose the positions to predict at random.

    Args:
        word_ids: (B, T), negative at special tokens and padding, which are never chosen; equal for
            the tokens of a word, which must be adjacent.
        probability: probability with which each position, or each word, is chosen.
        whole_word: choose all tokens of a word or none, by the draw at its first token.
        generator: source of the random numbers.

    Returns:
        (B, T) bool, true at the chosen positions.
    """
    draws = torch.rand(word_ids.shape, generator=generator)
    if whole_word:
        begins = torch.ones_like(word_ids, dtype=torch.bool)
        begins[:, 1:] = word_ids[:, 1:] != word_ids[:, :-1]
        first = torch.where(begins, torch.arange(word_ids.shape[1]), 0).cummax(1).values
        draws = draws.gather(1, first)
    return (draws < probability) & (word_ids >= 0)


def replacement_ids(
    chosen: Tensor, *, mask_id: int, ordinary_ids: Tensor, generator: torch.Generator
) -> Tensor:
    """Draw the token id that replaces each chosen token.

    80% of the chosen tokens become ``mask_id``, 10% a random one of ``ordinary_ids``, and 10% stay
    as they are. The tokens of one word are drawn independently.

    Args:
        chosen: (B, T) bool, from :func:`choose_positions`.
        mask_id: id of the mask token.
        ordinary_ids: (V',), the ids of all tokens that are not special.
        generator: source of the random numbers.

    Returns:
        (B, T) int64, UNTOUCHED where the token stays as it is.

    Source: Devlin et al. 2019, arXiv 1810.04805, section 3.1.
    """
    draws = torch.rand(chosen.shape, generator=generator)
    random = ordinary_ids[torch.randint(len(ordinary_ids), chosen.shape, generator=generator)]
    shown = torch.where(draws < 0.8, mask_id, torch.where(draws < 0.9, random, UNTOUCHED))
    return torch.where(chosen, shown, UNTOUCHED)


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy to the device asynchronously, through pinned memory if it is a GPU."""
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)
