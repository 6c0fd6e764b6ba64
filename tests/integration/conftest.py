"""A finished run and what answers from it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModel

import mt_dnn
from mt_dnn.config.run import (
    BatchConfig,
    DataConfig,
    ModelConfig,
    OptimConfig,
    RunConfig,
    SystemConfig,
    TrainConfig,
)
from mt_dnn.inference.predictor import Predictor
from mt_dnn.tables import processes
from mt_dnn.tables import runs as table_runs
from mt_dnn.training.trainer import Trainer
from tests.support.encoders import tiny_encoder_folder
from tests.support.finished_run import Run, write_data
from tests.support.forked import ForkedProcess


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Four tasks, 8 epochs on 16 rows each; trained once, to be read only."""
    data = tmp_path_factory.mktemp("data")
    write_data(data)
    encoder = tiny_encoder_folder(tmp_path_factory.mktemp("encoder"))
    model = AutoModel.from_pretrained(encoder)
    with torch.no_grad():
        model.embeddings.word_embeddings.weight.mul_(50)  # let words outweigh positions
    model.save_pretrained(encoder)
    config = RunConfig(
        name="tiny",
        output_dir=str(tmp_path_factory.mktemp("runs")),
        data=DataConfig(tasks=str(data / "tasks.yml"), data_dir=str(data), max_seq_len=32),
        model=ModelConfig(encoder=str(encoder), pooling="mean"),
        batch=BatchConfig(size=8),
        optim=OptimConfig(lr=5e-3),
        # Scored at the end alone, so that the best model is the most trained one.
        train=TrainConfig(epochs=8, eval_every=1000, save_every=0),
        system=SystemConfig(device="cpu"),
    )
    Trainer(config).fit()
    return Run(Path(config.output_dir) / config.name, data)


@pytest.fixture(scope="session")
def predictor(run: Run) -> Predictor:
    return mt_dnn.load(run.folder)


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables start their processes by forking."""
    for module in (table_runs, processes):
        monkeypatch.setattr(module, "start_process", ForkedProcess)
