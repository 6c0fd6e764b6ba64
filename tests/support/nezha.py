"""A tiny NEZHA, and a batch for it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mt_dnn.encoders import nezha

VOCAB, HEADS, HIDDEN = 50, 2, 16
SIZES: dict[str, Any] = {
    "vocab_size": VOCAB,
    "hidden_size": HIDDEN,
    "num_hidden_layers": 2,
    "num_attention_heads": HEADS,
    "intermediate_size": 24,
    "max_position_embeddings": 32,
    "max_relative_position": 3,
}


def tiny_model(**changes: Any) -> nezha.NezhaModel:
    """In eval mode, every parameter away from its usual 0 or 1."""
    model = nezha.NezhaModel(nezha.NezhaConfig(**SIZES | changes)).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.0, 0.3, generator=generator)
    return model


def batch(lengths: tuple[int, ...] = (9, 6, 1)) -> dict[str, Tensor]:
    width = max(lengths)
    ids = torch.randint(1, VOCAB, (len(lengths), width), generator=torch.Generator().manual_seed(1))
    mask = (torch.arange(width) < torch.tensor(lengths)[:, None]).long()
    types = (torch.arange(width) >= 3).long() * mask
    return {"input_ids": ids * mask, "attention_mask": mask, "token_type_ids": types}
