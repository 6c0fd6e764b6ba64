"""Fixtures of more than one file: R_s's toy networks, a table file, a task file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn

from data_utils.task_def import TaskDef
from mt_dnn.task_types import load_tasks
from tests.support.table_file import FILE
from tests.support.toy_network import MASK, Toy, embeddings


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """The folder of a suite's downloads."""
    return tmp_path / "raw"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """The folder to which a suite's rows are written."""
    return tmp_path / "out"


@pytest.fixture
def toy():
    torch.manual_seed(1)
    return Toy()


@pytest.fixture(scope="module")
def trained():
    """Fits three classes that depend on two coordinates of the embeddings."""
    torch.manual_seed(2)
    model = Toy()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for step in range(150):
        embeds = embeddings(step)
        means = (embeds * MASK[..., None]).sum(1) / MASK.sum(1, keepdim=True)
        labels = (means[:, 0] > 0).long() + (means[:, 1] > 0).long()
        loss = nn.functional.cross_entropy(model(embeds), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    """``make(rows={...})``: the table file with other entries; None leaves one out."""

    def write(**changes: Any) -> Path:
        path = tmp_path / "t.yml"
        if {"rows", "columns"} & changes.keys():
            changes = {"paper": None} | changes  # its numbers are those of the default rows
        entries = {k: v for k, v in (FILE | changes).items() if v is not None}
        path.write_text(yaml.safe_dump(entries, sort_keys=False))
        return path

    return write


@pytest.fixture
def tasks(tmp_path: Path) -> str:
    """A task file for the tables of ``make``."""
    entry = {"data_format": "PremiseAndOneHypothesis", "task_type": "Classification", "n_class": 2}
    entries = {"rte": {"metric_meta": ["ACC", "CMAT"]}, "mrpc": {"metric_meta": ["F1", "ACC"]}}
    path = tmp_path / "tasks.yml"
    path.write_text(yaml.safe_dump({name: entry | own for name, own in entries.items()}))
    return str(path)


@pytest.fixture
def load(tmp_path: Path):
    def load(text: str, **others: str) -> dict[str, TaskDef]:
        for name, content in others.items():
            (tmp_path / f"{name}.yml").write_text(content)
        path = tmp_path / "tasks.yml"
        path.write_text(text)
        return load_tasks(path)

    return load
