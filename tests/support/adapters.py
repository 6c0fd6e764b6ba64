"""A tiny adapted encoder: its settings, weights that moved, what it computes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mt_dnn.config.run import ModelConfig
from mt_dnn.encoders.encoder import Encoder
from tests.support.batches import make_batch

BATCH = make_batch([6, 4, 5], ids=(3, 90))


def lora(**options: Any) -> ModelConfig:
    return ModelConfig(adapter="lora", adapter_options=options)


def move(module: nn.Module, seed: int = 0) -> None:
    """Add noise to everything that trains, so that B is not 0."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.requires_grad:
                parameter += 0.1 * torch.randn(parameter.shape, generator=generator)


@torch.no_grad()
def hidden(encoder: Encoder) -> Tensor:
    found = encoder.encode(encoder.embed(BATCH.input_ids), BATCH.attention_mask)
    return found[BATCH.attention_mask.bool()]
