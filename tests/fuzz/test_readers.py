"""Damaged model folders, stores and checkpoints."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from data_utils.data_report import TEXTS
from data_utils.store import TaskStore
from mt_dnn.config.run import DataConfig, ModelConfig, RunConfig
from mt_dnn.from_mt_dnn.checkpoint_file import read_checkpoint
from mt_dnn.from_mt_dnn.import_report import ImportReport
from mt_dnn.inference.predictor import load
from mt_dnn.runs.stores import data_table, prepare_stores, select_tasks
from tests.bad_input.folder import write_folder
from tests.fuzz.damage import attempt, damaged, fuzz
from tests.support.model_folders import tasks_of, write_model

TASKS = "pair: {data_format: PremiseAndOneHypothesis, task_type: Classification, n_class: 2, metric_meta: [ACC]}"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, encoder_folder: Path) -> Path:
    folder = tmp_path_factory.mktemp("fuzz")
    write_model(folder / "best", tasks_of(folder, TASKS), encoder_folder)
    return folder / "best"


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory, encoder_folder: Path, tokenizer) -> Path:
    """Stores of a task of candidates and a task of spans."""
    folder = tmp_path_factory.mktemp("fuzz")
    write_folder(folder)
    data = DataConfig(
        tasks=str(folder / "tasks.yml"),
        data_dir=str(folder),
        store_dir=str(folder / "store"),
        use=("rank", "span"),
        max_seq_len=16,
    )
    config = RunConfig(data=data, model=ModelConfig(encoder=str(encoder_folder)))
    prepare_stores(select_tasks(data), config, tokenizer)
    return folder / "store"


@fuzz(40)
@given(
    name=st.sampled_from(
        ["mt_dnn.json", "tasks.yml", "heads.safetensors", "model.safetensors", "config.json"]
    ),
    data=st.data(),
)
def test_model_folders(model: Path, tmp_path: Path, name: str, data: st.DataObject) -> None:
    folder = tmp_path / "best"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(model, folder)
    (folder / name).write_bytes(data.draw(damaged((model / name).read_bytes())))
    attempt(lambda: load(folder).predict("pair", [("a", "b")]))


@fuzz(120)
@given(
    store=st.sampled_from(["rank_train", "span_train"]),
    name=st.sampled_from(["manifest.json", "data.arrow", TEXTS]),
    data=st.data(),
)
def test_stores(stores: Path, tmp_path: Path, store: str, name: str, data: st.DataObject) -> None:
    folder = tmp_path / store
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(stores / store, folder)
    (folder / name).write_bytes(data.draw(damaged((stores / store / name).read_bytes())))

    def read() -> None:
        opened = TaskStore(folder)
        opened.take(range(len(opened)))
        list(data_table([opened, TaskStore(stores / store)]))

    attempt(read)


@fuzz(60)
@given(data=st.data())
def test_checkpoints_of_mt_dnn(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "model.pt"
    torch.save({"state": {"a": torch.ones(3)}, "config": {"epochs": 3}}, path)
    path.write_bytes(data.draw(damaged(path.read_bytes())))
    attempt(lambda: read_checkpoint(path, ImportReport()))
