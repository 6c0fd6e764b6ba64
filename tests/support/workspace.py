"""Three tiny tasks that the tiny encoder can learn: their rows, and the settings of a run."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mt_dnn.config.run import RunConfig
from tests.support.words import WORDS

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
"""Overrides, a value or the changed fields of a section -> the settings of a run."""


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


def run_config(workspace: Path, encoder: Path, folder: Path, **overrides: Any) -> RunConfig:
    """A run of ``workspace`` on ``encoder``; it writes to ``folder``."""
    sections: dict[str, Any] = {
        "data": {
            "tasks": str(workspace / "tasks.yml"),
            "data_dir": str(workspace),
            "store_dir": str(workspace / "store"),
            "max_seq_len": 64,
        },
        "model": {"encoder": str(encoder)},
        "batch": {"size": 4, "eval_size": 5},
        "optim": {"lr": 1e-3},
        "train": {"epochs": 2, "log_every": 1},
        "system": {"device": "cpu"},
    }
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
