"""Train to the end, and read what the run has written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mt_dnn.config.run import RunConfig
from mt_dnn.training.trainer import Trainer


def run(config: RunConfig) -> Trainer:
    trainer = Trainer(config)
    trainer.fit()
    return trainer


def lines(trainer: Trainer) -> list[dict[str, Any]]:
    text = (trainer.run_dir / "metrics.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def logged(trainer: Trainer, tag: str) -> dict[int, float]:
    """Step -> value."""
    return {line["step"]: line[tag] for line in lines(trainer) if tag in line}


def predictions(trainer: Trainer, name: str) -> list[dict[str, Any]]:
    text = (trainer.run_dir / "predictions" / f"{name}.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def assert_same_weights(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


def copy_workspace(workspace: Path, folder: Path, *, tasks: str | None = None) -> dict[str, str]:
    """The settings under ``data`` for a copy of the rows, with another task file."""
    folder.mkdir()
    for path in [*workspace.glob("*.tsv"), workspace / "tasks.yml"]:
        shutil.copy(path, folder)
    if tasks is not None:
        (folder / "tasks.yml").write_text(tasks)
    paths = {"tasks": "tasks.yml", "store_dir": "store", "data_dir": ""}
    return {key: str(folder / name) for key, name in paths.items()}
