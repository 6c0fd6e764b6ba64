"""What the tests share: a tiny encoder, three tiny tasks that it can learn, and runs on them."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState

from mt_dnn.config.run import RunConfig
from mt_dnn.tracking.tracker import Tracker
from tests.tiny import WORDS, tiny_encoder_folder

TASKS = """\
pair:
  data_format: PremiseAndOneHypothesis
  task_type: Classification
  labels: [same, other]
  metric_meta: [ACC, CMAT]
score:
  data_format: PremiseAndOneHypothesis
  task_type: Regression
  n_class: 1
  metric_meta: [Pearson]
pick:
  data_format: PremiseAndMultiHypothesis
  task_type: Ranking
  n_class: 2
  metric_meta: [ACC]
"""
"""A pair classification, a regression, a ranking with 2 to 4 candidates."""
TRAIN_ROWS = {"pair": 22, "score": 16, "pick": 12}
DEV_ROWS = 8
"""The first training rows again: what a model that memorizes gets right."""

TinyConfig = Callable[..., RunConfig]


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def fresh_accelerator() -> None:
    """Accelerate keeps the first device and precision of a process; each test chooses its own."""
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(scope="session")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT of 2 layers with dropout 0.1."""
    return tiny_encoder_folder(tmp_path_factory.mktemp("encoder") / "tiny")


@pytest.fixture(scope="session")
def still_encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same weights without dropout."""
    folder = tiny_encoder_folder(tmp_path_factory.mktemp("encoder") / "still")
    path = folder / "config.json"
    off = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    path.write_text(json.dumps(json.loads(path.read_text()) | off))
    return folder


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tasks.yml and the rows of its three tasks, train and dev."""
    folder = tmp_path_factory.mktemp("workspace")
    (folder / "tasks.yml").write_text(TASKS)
    write_rows(folder)
    return folder


def write_rows(folder: Path) -> None:
    rng = random.Random(7)

    def text(low: int = 2, high: int = 9) -> str:
        return " ".join(rng.choices(WORDS, k=rng.randint(low, high)))

    def candidates(index: int) -> str:
        many = 2 + index % 3
        right = rng.randrange(many)
        labels = ",".join(str(int(i == right)) for i in range(many))
        ids = ",".join(f"{index}.{i}" for i in range(many))
        return "\t".join([ids, labels, text(), *(text() for _ in range(many))])

    rows = {
        "pair": [
            f"pair-{i}\t{('same', 'other')[i % 2]}\t{text()}\t{text()}"
            for i in range(TRAIN_ROWS["pair"])
        ],
        "score": [
            f"score-{i}\t{i % 5 / 2}\t{text()}\t{text()}" for i in range(TRAIN_ROWS["score"])
        ],
        "pick": [f"pick-{i}\t{candidates(i)}" for i in range(TRAIN_ROWS["pick"])],
    }
    for task, lines in rows.items():
        for split, chosen in (("train", lines), ("dev", lines[:DEV_ROWS])):
            (folder / f"{task}_{split}.tsv").write_text("".join(f"{line}\n" for line in chosen))


@pytest.fixture(scope="session")
def config_in(workspace: Path, encoder_folder: Path) -> Callable[[Path], TinyConfig]:
    """``config_in(folder)`` is :func:`tiny_config` with its runs in ``folder``."""
    sections: dict[str, Any] = {
        "data": {
            "tasks": str(workspace / "tasks.yml"),
            "data_dir": str(workspace),
            "store_dir": str(workspace / "store"),
            "max_seq_len": 64,
        },
        "model": {"encoder": str(encoder_folder)},
        "batch": {"size": 4, "eval_size": 5},
        "optim": {"lr": 1e-3},
        "train": {"epochs": 2, "log_every": 1},
        "system": {"device": "cpu"},
    }

    def build(folder: Path, **overrides: Any) -> RunConfig:
        config = RunConfig(output_dir=str(folder))
        for layer in (sections, overrides):
            values = {
                name: dataclasses.replace(getattr(config, name), **value)
                if isinstance(value, dict)
                else value
                for name, value in layer.items()
            }
            config = dataclasses.replace(config, **values)
        return config

    return lambda folder: partial(build, folder)


@pytest.fixture
def tiny_config(config_in: Callable[[Path], TinyConfig], tmp_path: Path) -> TinyConfig:
    """``tiny_config(seed=1, train={"epochs": 3})``: a run of the workspace on the tiny encoder.

    Unless said: batch size 4, 2 epochs, a log point at every update, CPU. The stores are the
    session's, the runs go to this test's own folder.
    """
    return config_in(tmp_path / "runs")


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than training such a tiny model."""
    monkeypatch.setattr(Tracker, "figure", lambda self, tag, figure, step: None)
