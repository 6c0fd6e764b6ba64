"""Which tokens a masked language model is to find again, and what it sees in their place."""

from __future__ import annotations

import torch
from torch import Tensor

UNTOUCHED = -1


def choose_positions(
    word_ids: Tensor, *, probability: float, whole_word: bool, generator: torch.Generator
) -> Tensor:
    """The positions to predict: (B, T) bool, each with ``probability``; never where there is no word.

    With ``whole_word`` the draw at a word's first token decides for all its tokens, which stand side
    by side.

    Args:
        word_ids: (B, T), below 0 at special tokens and padding; equal within a word.
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
    """The id to show at each chosen position, else UNTOUCHED: (B, T) int64.

    80% of them show ``mask_id``, 10% a random one of ``ordinary_ids`` (V',), 10% what they are (Devlin
    et al. 2019, arXiv 1810.04805, section 3.1); sub-words of one word are drawn apart.
    """
    draws = torch.rand(chosen.shape, generator=generator)
    random = ordinary_ids[torch.randint(len(ordinary_ids), chosen.shape, generator=generator)]
    shown = torch.where(draws < 0.8, mask_id, torch.where(draws < 0.9, random, UNTOUCHED))
    return torch.where(chosen, shown, UNTOUCHED)


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A copy that no one waits for: from pinned memory where the device is a GPU."""
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)
