"""Micro-batches of unequal size give the gradient of one batch, plain and with SMART."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import mt_dnn.objective.smoothness as smoothness
from data_utils.collator import collate
from mt_dnn.training.trainer import Trainer
from tests.integration.test_distributed import noise_of_examples


def gradients(trainer: Trainer, parts: list[list[int]]) -> dict[str, Tensor]:
    """The gradients of one update on parts of the training rows of ``score``."""
    store = trainer.data.train["score"]
    trainer.update([collate(store, part) for part in parts])
    found = {n: p.grad for n, p in trainer.model.named_parameters() if p.grad is not None}
    for parameter in trainer.parameters:
        parameter.grad = None
    trainer.step = 0
    return found


@pytest.mark.parametrize("smart", ["off", "smart"])
def test_parts_of_a_batch_give_its_gradient(tiny_config, still_encoder_folder, monkeypatch, smart):
    monkeypatch.setattr(smoothness, "_noise", noise_of_examples)
    config = tiny_config(
        smart=smart,
        model={"encoder": str(still_encoder_folder), "dropout": 0.0},
        optim={"clip_norm": 0.0},
        trackers=[],
    )
    trainer = Trainer(config)
    monkeypatch.setattr(trainer.optimizer, "step", lambda: None)
    monkeypatch.setattr(trainer.optimizer, "zero_grad", lambda: None)
    monkeypatch.setattr(trainer.objective, "after_update", lambda update, total: None)
    whole = gradients(trainer, [list(range(10))])
    parts = gradients(trainer, [[0], list(range(1, 10))])
    assert whole.keys() == parts.keys()
    for name, gradient in whole.items():
        torch.testing.assert_close(parts[name], gradient, rtol=1e-4, atol=1e-6)
