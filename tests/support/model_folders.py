"""Model folders as runs leave them, without a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from data_utils.task_def import TaskDef
from mt_dnn.config.run import DataConfig, ModelConfig, RunConfig
from mt_dnn.encoders.encoder import Encoder
from mt_dnn.encoders.load import load_encoder
from mt_dnn.encoders.pretrained import load_tokenizer
from mt_dnn.model import MTDNN
from mt_dnn.runs.model_folder import save_model_folder
from mt_dnn.task_types import load_tasks


def tasks_of(folder: Path, text: str) -> dict[str, TaskDef]:
    """The tasks of a task file with these words."""
    path = folder / "tasks.yml"
    path.write_text(text)
    return load_tasks(path)


def scattered(encoder: Encoder, tasks: dict[str, TaskDef], seed: int = 0, **model: Any) -> MTDNN:
    """In eval mode, with heads that are far from where they start: biases too say something."""
    built = MTDNN(encoder, tasks, ModelConfig(**model)).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in built.heads.parameters():
            parameter.normal_(0.0, 0.3, generator=generator)
    return built


def write_model(
    folder: Path, tasks: dict[str, TaskDef], encoder: Path, *, seed: int = 0, **model: Any
) -> MTDNN:
    """The model in ``folder``, its encoder from a folder with weights moved by the seed."""
    built = scattered(load_encoder(str(encoder)), tasks, seed, **model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in built.encoder.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    config = RunConfig(
        name=folder.name,
        data=DataConfig(max_seq_len=32),
        model=ModelConfig(encoder=str(encoder), **model),
    )
    save_model_folder(
        folder,
        model=built,
        tokenizer=load_tokenizer(str(encoder)),
        config=config,
        step=7,
        scores={name: {"ACC": 50.0 + seed} for name in tasks},
    )
    return built
