"""Checkpoints as MT-DNN saved them, made by hand, and the call that imports one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from torch import Tensor

from mt_dnn.from_mt_dnn import importer
from mt_dnn.from_mt_dnn.importer import import_checkpoint

HIDDEN = 32
SIZES = {"pair": 2, "score": 1, "pick": 1}
"""Outputs of the workspace's tasks, in the order of its task file."""
State = dict[str, Tensor]


@pytest.fixture(scope="session")
def mt_dnn_bert(encoder_folder: Path) -> hf.BertModel:
    """The tiny encoder after a training that left no weight where it was."""
    model = hf.BertModel.from_pretrained(encoder_folder)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.0, 0.3, generator=generator)
    return model.eval()


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def linear(n_out: int, seed: int, n_in: int = HIDDEN) -> State:
    return {"weight": draw(n_out, n_in, seed=seed), "bias": draw(n_out, seed=seed + 1)}


def under(prefix: str, weights: State) -> State:
    return {f"{prefix}.{key}": tensor for key, tensor in weights.items()}


@pytest.fixture
def mt_dnn_state(mt_dnn_bert: hf.BertModel) -> State:
    """The form of 2019: heads on BERT's own pooler."""
    found = {f"bert.{key}": tensor.clone() for key, tensor in mt_dnn_bert.state_dict().items()}
    found["bert.embeddings.position_ids"] = torch.arange(128)[None]  # of older transformers
    for i, size in enumerate(SIZES.values()):
        found |= under(f"scoring_list.{i}", linear(size, seed=10 + 10 * i))
    return found


def with_shared_pooler(state: State) -> State:
    return state | under("pooler.dense", linear(HIDDEN, seed=50))


def with_own_poolers(state: State) -> State:
    """The latest form: each head a sequence of a pooler and a linear layer; tagging has none."""
    found = {key: tensor for key, tensor in state.items() if key.startswith("bert.")}
    for i, size in enumerate(SIZES.values()):
        found |= under(f"scoring_list.{i}.0.dense", linear(HIDDEN, seed=60 + 10 * i))
        found |= under(f"scoring_list.{i}.1", linear(size, seed=10 + 10 * i))
    return found


def by_hand(
    bert: hf.BertModel,
    tokenizer: Any,
    pairs: list[tuple[str, str]],
    output: State,
    *,
    pooler: State | None = None,
    activation: Callable[[Tensor], Tensor] = torch.tanh,
) -> np.ndarray:
    """bert -> pooled output -> linear, as MT-DNN computes them in eval mode; a row at a time."""
    rows = []
    with torch.no_grad():
        for first, second in pairs:
            found = bert(**tokenizer(first, second, return_tensors="pt"))
            pooled = found.pooler_output  # (1, H)
            if pooler:
                first_token = found.last_hidden_state[:, 0]
                pooled = activation(first_token @ pooler["weight"].T + pooler["bias"])
            rows.append(pooled @ output["weight"].T + output["bias"])
    return torch.cat(rows).numpy()


@pytest.fixture
def import_state(
    tmp_path: Path, workspace: Path, encoder_folder: Path
) -> Callable[..., importer.Report]:
    """Save a checkpoint, import it to ``tmp_path / "out"``."""

    def call(
        state: State, settings: dict[str, Any] | None = None, **options: Any
    ) -> importer.Report:
        optimizer = {"state": {0: {"step": 3, "exp_avg": torch.ones(2)}}, "param_groups": []}
        entries = {"state": state, "optimizer": optimizer, "config": settings or {"lr": 5e-5}}
        path = tmp_path / "model.pt"
        torch.save(entries, path)
        words = {
            "checkpoint": str(path),
            "tasks": str(workspace / "tasks.yml"),
            "encoder": str(encoder_folder),
            "out": str(tmp_path / "out"),
            "max_seq_len": 64,
        }
        return import_checkpoint(**{**words, **options})

    return call
