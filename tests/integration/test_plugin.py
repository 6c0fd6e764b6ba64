"""A package outside of this one that registers a kind of everything: used from the command line, without an edit here."""

from __future__ import annotations

import csv
import json
import random
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors.torch import load_file

from tests.support.encoders import tiny_encoder_folder
from tests.support.forked import ForkedProcess
from tests.support.words import WORDS

PLUGIN = Path(__file__).parents[1] / "support" / "plugin" / "graded"
TASKS = """\
mood:
  data_format: Dialogue
  task_type: Ordinal
  labels: [bad, fair, good]
  metric_meta: [MAE, ACC]
  adv_loss: bernoulli_renyi
  options: {turns: 1, threshold: 0.4}
pair:
  data_format: PremiseAndOneHypothesis
  task_type: Classification
  labels: [same, other]
  metric_meta: [ACC]
"""
CONFIG: dict[str, Any] = {
    "name": "whole",
    "plugins": ["graded"],
    "data": {"tasks": "tasks.yml", "data_dir": ".", "max_seq_len": 32},
    "model": {"encoder": "encoder"},
    "mixing": {"name": "rotation", "options": {"width": 2}},
    "batch": {"size": 4, "accumulate": 2, "spread": True},
    "optim": {
        "name": "muon",
        "lr": 1e-3,
        "options": {"momentum": 0.9},
        "schedule": "power_decay",
        "schedule_options": {"power": 1.5},
        "combine": "equal_norms",
        "combine_options": {"floor": 1e-9},
    },
    "train": {"epochs": 3, "log_every": 1, "keep": 9},
    "smart": "smart",
    "terms": [
        {"name": "l2_sp", "weight": 0.01, "weights": {"pair": 0}, "options": {"biases": False}}
    ],
    "trackers": ["csv"],
    "tracker_options": {"csv": {"file": "all.csv"}},
    "system": {"device": "cpu"},
}
STEPS = 12


def mt_dnn(folder: Path, *words: str) -> tuple[int, str]:
    """Run the command in a process of its own; its exit code and all that it prints."""
    log = folder / "log.txt"
    log.write_text("")
    with log.open("ab") as stream, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        process = ForkedProcess([sys.executable, "-P", "-m", "mt_dnn.cli", *words], stream, {})
    process.wait()
    assert process.returncode is not None
    return process.returncode, log.read_text()


def done(result: tuple[int, str]) -> str:
    code, text = result
    assert code == 0, text
    return text


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a user's: the plugin, tasks, rows, an encoder and a finished run."""
    folder = tmp_path_factory.mktemp("user")
    shutil.copytree(PLUGIN, folder / "graded", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.move(tiny_encoder_folder(tmp_path_factory.mktemp("encoder")), folder / "encoder")
    (folder / "tasks.yml").write_text(TASKS)
    (folder / "run.yml").write_text(yaml.safe_dump(CONFIG))
    rng = random.Random(1)

    def text() -> str:
        return " ".join(rng.choices(WORDS, k=rng.randint(2, 6)))

    labels = {"mood": ["bad", "fair", "good"], "pair": ["same", "other"]}
    for task, names in labels.items():
        for split, count in (("train", 16), ("dev", 6)):
            rows = [f"{i}\t{names[i % len(names)]}\t{text()}\t{text()}\n" for i in range(count)]
            if task == "mood":  # any number of turns
                rows = [
                    row.replace("\n", f"\t{text()}\n") if i % 2 else row
                    for i, row in enumerate(rows)
                ]
            (folder / f"{task}_{split}.tsv").write_text("".join(rows))
    done(mt_dnn(folder, "train", "--config", "run.yml"))
    return folder


def lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_the_run_has_what_the_plugin_computes(folder):
    run = folder / "runs" / "whole"
    scores = json.loads((run / "scores.json").read_text())["scores"]
    assert scores["mood"].keys() == {"MAE", "ACC"}
    logged = {tag: value for line in lines(run) for tag, value in line.items()}
    assert logged["train/mood/l2_sp"] > 0
    assert {"train/mood/grad_norm", "train/pair/grad_norm"} <= logged.keys()
    assert all("train/cosine/mood/pair" in line for line in lines(run) if "train/lr" in line)
    assert logged["l2_sp/mood/distance"] == pytest.approx(
        (2 * logged["train/mood/l2_sp"]) ** 0.5, rel=0.1
    )
    assert "train/pair/l2_sp" not in logged  # its weight for that task is 0
    assert "train/mood/smoothness" in logged  # at the radius 1e-5 it is as small as rounding
    with (run / "all.csv").open(newline="") as stream:
        rows = [(int(step), tag) for step, tag, _ in csv.reader(stream)]
    assert rows == [(line["step"], tag) for line in lines(run) for tag in line if tag != "step"]
    assert not list(run.glob("events.out.*"))
    assert yaml.safe_load((run / "config.yml").read_text())["plugins"] == ["graded"]
    assert json.loads((run / "best" / "mt_dnn.json").read_text())["plugins"] == ["graded"]


def test_a_resumed_run_ends_as_the_whole_one(folder):
    whole, again = folder / "runs" / "whole", folder / "runs" / "again"
    shutil.copytree(whole, again)
    steps = sorted((again / "checkpoints").iterdir())
    assert [step.name for step in steps][-1] == f"step-{STEPS:08d}"
    for step in steps[1:]:
        shutil.rmtree(step)
    text = done(
        mt_dnn(
            folder, "train", "--config", "runs/whole/config.yml", "--name=again", "--resume=true"
        )
    )
    assert "resumed from" in text
    for name in ("metrics.jsonl", "all.csv"):
        assert (again / name).read_bytes() == (whole / name).read_bytes()
    for name in ("model.safetensors", "optimizer.safetensors"):
        one, other = (
            load_file(run / "checkpoints" / steps[-1].name / name) for run in (whole, again)
        )
        assert one.keys() == other.keys()
        assert all((one[key] == other[key]).all() for key in one)


def predict(folder: Path, *words: str) -> tuple[int, str]:
    (folder / "rows.jsonl").write_text('{"turn": ["a b", "c"]}\n{"turn": ["a"]}\n')
    ask = ("--run", "runs/whole", "--task", "mood", "--input", "rows.jsonl", "--device", "cpu")
    return mt_dnn(folder, "predict", *ask, *words)


def test_prediction_imports_the_plugin_only_with_consent(folder):
    code, text = predict(folder)
    assert code == 2
    assert "task 'mood': metric_meta: unknown metric 'MAE'." in text
    assert (
        "trained with plugins. If you trust their code, import them: --plugins graded, or" in text
    )
    answers = [
        json.loads(line) for line in done(predict(folder, "--plugins", "graded")).splitlines()
    ]
    assert [answer["prediction"] in ("bad", "fair", "good") for answer in answers] == [True, True]
    assert len(answers[0]["scores"]) == 2


def test_a_run_without_the_plugin_names_what_is_missing(folder):
    config = yaml.safe_load((folder / "run.yml").read_text()) | {"plugins": [], "name": "none"}
    (folder / "without.yml").write_text(yaml.safe_dump(config, sort_keys=False))
    code, text = mt_dnn(folder, "train", "--config", "without.yml")
    assert code == 2
    line = next(
        i
        for i, x in enumerate((folder / "without.yml").read_text().splitlines(), 1)
        if "rotation" in x
    )
    assert f"error: without.yml:{line}: mixing.name: unknown mixing strategy 'rotation'." in text


def test_the_encoder_is_exported_and_runs_are_averaged(folder):
    code, text = mt_dnn(folder, "export", "--run", "runs/whole", "--out", "published")
    assert code == 2
    assert "--plugins graded" in text
    named = ("--plugins", "graded")
    done(mt_dnn(folder, "export", "--run", "runs/whole", "--out", "published", *named))
    assert (folder / "published" / "model.safetensors").exists()
    runs = ("--run", "runs/whole", "runs/whole")
    done(mt_dnn(folder, "average", *runs, "--out", "soup", *named))
    assert json.loads((folder / "soup" / "mt_dnn.json").read_text())["plugins"] == ["graded"]


def test_a_table_trains_with_the_plugin(folder):
    table = {
        "base": "run.yml",
        "sizes": {"train.epochs": 1, "smart": "off"},
        "seeds": [1],
        "rows": {"plain": {"terms": []}, "l2_sp": {}},
        "columns": {"mood.MAE": {"use": ["mood", "pair"]}},
    }
    (folder / "table.yml").write_text(yaml.safe_dump(table, sort_keys=False))
    text = done(mt_dnn(folder, "table", "table.yml", "--out", "results", "--jobs", "2"))
    assert "mood.MAE" in text
    results = [
        json.loads(line) for line in (folder / "results" / "results.jsonl").read_text().splitlines()
    ]
    assert len(results) == 2


def test_the_plugin_is_listed_with_its_options(folder):
    text = done(mt_dnn(folder, "list", "--plugins", "graded"))
    for line in (
        "muon    Muon for matrices of layers, AdamW for the rest",
        "options: momentum=0.95, nesterov=True",
        "from: graded.muon:muon",
        "l2_sp  L2-SP: half the squared distance of the encoder from its start",
        "equal_norms  Sum of the tasks' gradients, each scaled to their mean norm.",
    ):
        assert line in text
