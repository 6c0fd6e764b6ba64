"""prepro.py: the rows of every task -> stores that train.py finds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import prepro
from data_utils.store import TaskStore
from mt_dnn.config.parser import parse_config
from mt_dnn.encoders.pretrained import load_tokenizer
from mt_dnn.runs.splits import store_dir
from mt_dnn.runs.stores import prepare_stores, select_tasks
from tests.support.commands import Command


@pytest.fixture
def args(workspace: Path, encoder_folder: Path, tmp_path: Path) -> list[str]:
    text = (
        f"data:\n  tasks: {workspace}/tasks.yml\n  data_dir: {workspace}\n"
        f"  store_dir: {tmp_path}/store\n  max_seq_len: 32\nmodel: {{encoder: {encoder_folder}}}\n"
        "train: {epochs: 1}\n"  # train.py's settings are no hindrance
    )
    (tmp_path / "run.yml").write_text(text)
    return ["--config", str(tmp_path / "run.yml")]


def lines_of(command: Command, args: list[str]) -> list[str]:
    code, printed, _ = command(prepro.main, *args)
    assert code == 0
    return printed.splitlines()


def test_one_line_for_each_split_and_where_the_stores_lie(args, tmp_path, command):
    lines = lines_of(command, args)
    assert [line.split(":")[0] for line in lines[:9]] == [
        f"{task}_{split}"
        for task in ("pair", "score", "pick")
        for split in ("train", "dev", "test")
    ]
    assert lines[0].startswith("pair_train: 22 examples of 22 rows, ")
    assert lines[2] == "pair_test: no rows"
    assert lines[9].split() == ["data", "set", "rows", "labels", "longest", "problems"]
    assert lines[10].split() == ["pair_train", "22", "same", "11,", "other", "11", "19"]
    assert lines[-1] == f"stores in {tmp_path}/store"
    assert len(TaskStore(tmp_path / "store" / "pick_dev")) == 8


def test_the_second_time_nothing_is_made_and_the_same_is_said(args, tmp_path, command):
    first = lines_of(command, args)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "store").rglob("*.arrow")}
    assert lines_of(command, args) == first
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "store").rglob("*.arrow")}
    assert before == after
    assert len(before) == 6


def test_only_the_tasks_asked_for(args, tmp_path, command):
    lines = lines_of(command, [*args, "--data.use", "score,pair"])
    assert [line.split("_")[0] for line in lines[:6:3]] == ["score", "pair"]
    assert not (tmp_path / "store" / "pick_train").exists()


def test_train_finds_what_prepro_made(args, command):
    lines_of(command, args)
    config = parse_config(args)
    made: list[str] = []
    stores = prepare_stores(
        select_tasks(config.data), config, load_tokenizer(config.model.encoder), log=made.append
    )
    assert made == []
    assert set(stores["train"]) == {"pair_train", "score_train", "pick_train"}
    assert set(stores["dev"]) == {"pair", "score", "pick"}


@pytest.mark.parametrize(
    ("encoder", "folder"),
    [
        ("bert-base-uncased", "bert-base-uncased-128"),
        ("org/name", "org--name-128"),
        ("package:some-package", "some-package-128"),
    ],
)
def test_where_stores_lie_by_default(encoder, folder):
    config = parse_config(
        ["--model.encoder", encoder, "--data.max_seq_len", "128", "--data.data_dir", "rows"]
    )
    assert store_dir(config) == Path("rows/store") / folder


def test_the_stores_are_exported_as_mt_dnns_tokenized_rows(args, tmp_path, command):
    lines = lines_of(command, [*args, "--export_jsonl", str(tmp_path / "theirs")])
    assert f"{tmp_path}/theirs/pair_train.json: 22 rows" in lines
    row = json.loads((tmp_path / "theirs" / "pair_train.json").read_text().splitlines()[0])
    stored = TaskStore(tmp_path / "store" / "pair_train").take([0])
    assert row["token_id"] == stored["input_ids"][0].tolist()
    assert row["label"] == stored["labels"][0]
