"""Cross-validation: what a run with folds trains on, evaluates on and writes; a table of such runs."""

from __future__ import annotations

import csv
import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

import mt_dnn
from data_utils.errors import UserError
from mt_dnn.runs.prepare import RunData, prepare
from mt_dnn.tables import command as table
from mt_dnn.tables.checks import check_columns
from mt_dnn.tables.results import read_results
from mt_dnn.training.trainer import Trainer
from tests.support.runs import copy_workspace, predictions, run
from tests.support.words import WORDS
from tests.support.workspace import TASKS, TRAIN_ROWS

pytestmark = pytest.mark.usefixtures("no_pictures")

LM = """\
lm: {data_format: MLM, task_type: MaskLM, metric_meta: [Perplexity], max_seq_len: 16}
"""


@pytest.fixture
def data(workspace: Path, tmp_path: Path) -> dict[str, str]:
    """The workspace without dev splits, and a task of texts of 1 to 7 windows."""
    paths = copy_workspace(workspace, tmp_path / "data", tasks=TASKS + LM)
    folder = tmp_path / "data"
    for path in folder.glob("*_dev.tsv"):
        path.unlink()
    rng = random.Random(1)
    texts = [" ".join(rng.choices(WORDS, k=5 + 11 * (i % 7))) for i in range(11)]
    lines = [json.dumps({"uid": f"lm-{i}", "text": text}) + "\n" for i, text in enumerate(texts)]
    (folder / "lm_train.jsonl").write_text("".join(lines))
    return paths


@pytest.fixture
def parts(tiny_config, data) -> Callable[..., RunData]:
    """``parts(2, seed=1, use=("pair",))``: the stores of a run with the second of four folds."""

    def make(fold: int | None, *, seed: int = 1, **changes: Any) -> RunData:
        section = {**data, "folds": 4, "fold": fold, **changes}
        return prepare(tiny_config(seed=seed, data=section), lambda line: None)

    return make


def uids(store: Any) -> list[str]:
    return store.take(range(len(store)))["uid"]


# --- The partition -------------------------------------------------------------------------------


def test_each_row_is_held_out_once_and_trained_on_otherwise(parts):
    folds = [parts(fold) for fold in (1, 2, 3, 4)]
    for task, count in {**TRAIN_ROWS, "lm": 11}.items():
        rows = {f"{task}-{i}" for i in range(count)}
        held_out = [set(uids(p.dev[task])) for p in folds]
        assert Counter(uid for fold in held_out for uid in fold) == Counter(rows)
        assert max(map(len, held_out)) - min(map(len, held_out)) <= 1
        for p, fold in zip(folds, held_out, strict=True):
            assert set(uids(p.train[task])) == rows - fold
    assert all(set(p.dev) == {"pair", "score", "pick", "lm"} for p in folds)


def test_classes_are_stratified_where_an_example_has_one(parts):
    """22 rows of pair: 11 of each label."""
    for fold in (1, 2, 3, 4):
        store = parts(fold, use=("pair",)).dev["pair"]
        labels = Counter(int(label) for label in store.take(range(len(store)))["labels"])
        assert set(labels.values()) <= {2, 3}


def test_all_windows_of_a_row_are_in_one_fold(parts):
    whole = Counter(uids(parts(None, use=("lm",), folds=None).train["lm"]))
    assert max(whole.values()) > 3
    for fold in (1, 2, 3, 4):
        p = parts(fold, use=("lm",))
        for store in (p.dev["lm"], p.train["lm"]):
            counts = Counter(uids(store))
            assert all(count == whole[uid] for uid, count in counts.items())
            assert store.windows.tolist() == [w for n in counts.values() for w in range(n)]


def test_the_partition_depends_on_the_seed_and_not_on_other_settings(parts):
    first = uids(parts(1).dev["pair"])
    assert uids(parts(1, use=("pair",)).dev["pair"]) == first
    assert uids(parts(1, max_seq_len=32, store_dir=None).dev["pair"]) == first
    assert uids(parts(1, train_limit=3).dev["pair"]) == first
    assert uids(parts(1, seed=2).dev["pair"]) != first
    assert uids(parts(1, folds=2).dev["pair"]) != first


def test_limits_apply_to_what_is_left(parts):
    whole, limited = parts(3), parts(3, train_limit=5, train_limits={"score": 2})
    assert {name: len(set(uids(store))) for name, store in limited.train.items()} == {
        **{"pair": 5, "score": 2, "pick": 5, "lm": 5}
    }
    assert len(limited.train["lm"]) > 5  # all windows of five rows
    for name, store in limited.train.items():
        assert set(uids(store)) <= set(uids(whole.train[name]))
    assert limited.train["pair"].lengths.tolist() == [
        len(row) for row in limited.train["pair"].take(range(5))["input_ids"]
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"folds": 1, "fold": 1}, "data.folds: 1; it must be at least 2"),
        ({"folds": 3, "fold": 0}, "data.fold: 0; it must be at least 1"),
        ({"folds": 3, "fold": 4}, "data.fold: 4; data.folds is 3"),
        ({"folds": 3, "fold": None}, "data.folds: set data.fold too"),
        ({"folds": None, "fold": 2}, "data.fold: set data.folds too"),
        ({"folds": 13, "use": ("pick",)}, "pick_train.tsv: 12 rows cannot .* use at most 12"),
    ],
)
def test_what_is_refused(parts, changes, message):
    with pytest.raises(UserError, match=message):
        parts(**{"fold": 1, **changes})


# --- A run ---------------------------------------------------------------------------------------


def test_a_run_evaluates_and_selects_on_the_held_out_fold(tiny_config, data, parts, capsys):
    section = {**data, "folds": 4, "fold": 2, "use": ("pair", "score", "lm")}
    trainer = run(tiny_config(seed=1, data=section, train={"epochs": 3}))
    shown = capsys.readouterr().out
    assert "all but fold 2 of 4 of each train split (seed 1)" in shown
    assert "dev splits are not used" in shown
    best = json.loads((trainer.run_dir / "scores.json").read_text())
    assert set(best["scores"]) == {"pair", "score", "lm"}
    for task in best["scores"]:
        held_out = dict.fromkeys(uids(parts(2).dev[task]))
        assert [line["uid"] for line in predictions(trainer, task)] == list(held_out)
    answers = predictions(trainer, "pair")
    right = sum(line["prediction"] == line["gold"] for line in answers)
    assert best["scores"]["pair"]["ACC"] == pytest.approx(100 * right / len(answers))
    mt_dnn.load(trainer.run_dir)


def test_the_dev_split_is_not_read(tiny_config, data, workspace):
    folder = Path(data["data_dir"])
    (folder / "pair_dev.tsv").write_text("a\tno such label\tred\tblue\n")
    section = {**data, "folds": 4, "fold": 1, "use": ("pair",)}
    assert len(Trainer(tiny_config(data=section)).data.dev["pair"]) == 6


# --- A table -------------------------------------------------------------------------------------

TABLE = """\
title: crossed
base:
  data: {{tasks: {tasks}, data_dir: {data_dir}, store_dir: {store_dir}, max_seq_len: 64}}
  model: {{encoder: {encoder}}}
  batch: {{size: 8, eval_size: 8}}
  system: {{device: cpu}}
  train: {{predictions: false, save_every: 0, epochs: 1}}
seeds: [1]
folds: 3
columns:
  pair.ACC: {{use: [pair]}}
rows:
  first: {{optim.lr: 1.0e-3}}
  held: {{start: first, optim.freeze: ["encoder.*"]}}
"""


def test_a_table_runs_every_row_once_for_each_fold(
    forked: None, data: dict[str, str], encoder_folder: Path, tmp_path: Path, capsys: Any
) -> None:
    file, out = tmp_path / "crossed.yml", tmp_path / "out"
    file.write_text(TABLE.format(**data, encoder=encoder_folder))
    command = [str(file), "--out", str(out), "--threads", "1"]
    assert table.main(command) == 0
    results = {(r["row"], r["config"]["data.fold"]): r for r in read_results(out).values()}
    assert set(results) == {(row, fold) for row in ("first", "held") for fold in (1, 2, 3)}
    for (row, fold), result in results.items():
        assert f"-pair-1-fold{fold}" in result["run"]
        if row == "held":
            names = [results["first", fold]["run"], result["run"]]
            paths = [out / "runs" / name / "best" / "model.safetensors" for name in names]
            start, own = map(load_file, paths)
            assert all((start[name] == own[name]).all() for name in start), "the same fold's run"
    lines = list(csv.DictReader((out / "crossed.csv").read_text().splitlines()))
    assert [line["n"] for line in lines] == ["3", "3"]
    scores = {fold: results["first", fold]["scores"]["pair"]["ACC"] for fold in (1, 2, 3)}
    assert lines[0]["scores"] == " ".join(f"1-fold{f}:{score!r}" for f, score in scores.items())
    text = (out / "crossed.md").read_text()
    assert "3-fold cross-validation" in text
    assert "| held | 3/3 |" in text

    capsys.readouterr()
    assert table.main(command) == 0
    assert "6 runs: 6 finished, 0 to run" in capsys.readouterr().out


def test_a_column_is_a_task_with_a_train_split(
    data: dict[str, str], encoder_folder: Path, tmp_path: Path
) -> None:
    tasks = Path(data["tasks"])
    names = "[train, matched_dev, mismatched_dev]"
    tasks.write_text(
        TASKS.replace("metric_meta: [ACC, CMAT]", f"metric_meta: [ACC]\n  split_names: {names}")
    )
    file = tmp_path / "crossed.yml"
    text = TABLE.format(**data, encoder=encoder_folder)
    check_columns(table.load_table(_written(file, text)))
    matched = text.replace("pair.ACC", "pair_matched.ACC")
    with pytest.raises(UserError, match=r"no such score.*'pair\.ACC'"):
        check_columns(table.load_table(_written(file, matched)))


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path
