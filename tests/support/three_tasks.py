"""A tiny model of a classification, a regression and a ranking task, and their batches."""

from __future__ import annotations

from typing import Any

import torch

from data_utils.collator import Batch
from mt_dnn.config.run import ModelConfig
from mt_dnn.model import MTDNN
from tests.support.batches import make_batch
from tests.support.encoders import VOCAB, tiny_encoder
from tests.support.tasks import make_task

KINDS = {"c": ("Classification", 3), "r": ("Regression", 1), "k": ("Ranking", 2)}
LABELS = {
    "c": torch.tensor([0, 2, 1]),
    "r": torch.tensor([0.5, 1.5, -1.0]),
    "k": torch.tensor([[1, 0], [0, 1], [1, -100]]),
}


def make_model(*, dropout: bool, **task_options: Any) -> MTDNN:
    """In train mode with dropout; else in eval mode."""
    tasks = {
        name: make_task(kind, name=name, n_class=n, **task_options)
        for name, (kind, n) in KINDS.items()
    }
    torch.manual_seed(3)
    model = MTDNN(tiny_encoder(), tasks, ModelConfig()).train()
    if not dropout:
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
            if hasattr(module, "dropout_prob"):
                module.dropout_prob = 0.0
        model.eval()
    return model


def task_batch(task: str, seed: int = 0) -> Batch:
    """Three labelled examples; those of the ranking have two, two and one candidates."""
    lengths = [6, 4, 5, 3, 6]
    return make_batch(
        lengths if task == "k" else lengths[:3],
        ids=(1, VOCAB),
        seed=seed,
        candidates=[2, 2, 1] if task == "k" else None,
        labels=LABELS[task],
        task=task,
    )


def move(model: MTDNN, size: float = 0.01) -> None:
    """Add noise to every parameter."""
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for p in model.parameters():
            p += size * torch.randn(p.shape, generator=generator)
