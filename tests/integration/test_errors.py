"""A user's mistake ends with code 2 and a message that fits on a screen, without a traceback."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import BertTokenizer

from tests.support.commands import Command
from tests.support.words import vocabulary

ROOT = Path(__file__).parents[2]
TASKS = """\
sst:
  data_format: PremiseOnly
  task_type: Classification
  labels: [negative, positive]
  metric_meta: [ACC]
pair:
  data_format: PremiseAndOneHypothesis
  task_type: Regression
  n_class: 1
  metric_meta: [Pearson]
"""
ROWS = {
    "sst_train": "a\tpositive\tgood film\nb\tnegative\tbad film\n",
    "sst_dev": "a\tpositive\tgood film\nb\tnegative\tbad film\n",
    "pair_train": "a\t1.5\tgood film\tbad film\nb\t0\ta\tfilm\n",
}


@pytest.fixture
def folder(tmp_path: Path, encoder_folder: Path) -> Path:
    """Two tasks with rows, and run.yml, which train.py and prepro.py take."""
    (tmp_path / "tasks.yml").write_text(TASKS)
    for name, rows in ROWS.items():
        (tmp_path / f"{name}.tsv").write_text(rows)
    (tmp_path / "run.yml").write_text(
        f"output_dir: {tmp_path}/runs\n"
        f"data: {{tasks: {tmp_path}/tasks.yml, data_dir: {tmp_path}, max_seq_len: 16}}\n"
        f"model:\n  encoder: {encoder_folder}\n"
        "system: {device: cpu}\n"
    )
    return tmp_path


Run = Callable[..., tuple[int, str, str]]


def run_program(cli: str, folder: Path) -> tuple[int, str, str]:
    """Exit code, standard output, standard error of the command line in a process of its own."""
    result = subprocess.run(
        [sys.executable, cli, "--config", str(folder / "run.yml")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
    )
    return result.returncode, result.stdout, result.stderr


@pytest.fixture
def call(command: Command) -> Run:
    """The same in this process."""

    def call(cli: str, folder: Path, *args: str) -> tuple[int, str, str]:
        module = __import__(cli.removesuffix(".py"))
        return command(module.main, "--config", folder / "run.yml", *args, program=cli)

    return call


def check(result: tuple[int, str, str], *words: str) -> None:
    code, _, message = result
    assert code == 2, message
    assert "Traceback" not in message
    assert "error: " in message
    assert len(message.splitlines()) <= 12
    for word in words:
        assert word in message


# In a process of its own, before torch is loaded; test_distributed.py has one that trains.


def test_a_typo_in_the_run_file(folder):
    path = folder / "run.yml"
    path.write_text(path.read_text() + "optim:\n  wramup: 0.2\n")
    check(run_program("train.py", folder), f"{path}:7", "optim.wramup", "'optim.warmup'")


# The others in this process.


def test_a_label_that_is_not_in_the_list(folder, call):
    path = folder / "sst_dev.tsv"
    path.write_text(ROWS["sst_dev"] + "c\tpostive\tso so\n")
    check(call("train.py", folder), f"{path}:3", "'postive'", "negative, positive")


def test_a_store_of_another_tokenizer(folder, tmp_path, call):
    store = str(tmp_path / "store")
    assert call("prepro.py", folder, "--data.store_dir", store)[0] == 0
    other = tmp_path / "other"
    BertTokenizer(vocab=vocabulary(), do_lower_case=False).save_pretrained(other)
    (other / "config.json").write_text('{"model_type": "bert"}')
    args = ("--data.store_dir", store, "--model.encoder", str(other))
    check(
        call("prepro.py", folder, *args),
        "store/sst_train does not fit this run",
        "tokenizer_hash: the store has",
        str(other),
        "--data.on_stale rebuild",
    )
    assert call("prepro.py", folder, *args, "--data.on_stale", "rebuild")[0] == 0


def test_a_store_that_does_not_fit_is_refused_before_another_is_built(folder, tmp_path, call):
    args = ("--data.store_dir", str(tmp_path / "store"))
    assert call("prepro.py", folder, *args)[0] == 0
    shutil.rmtree(tmp_path / "store" / "sst_train")
    result = call("train.py", folder, *args, "--data.max_seq_len", "12")
    check(result, "store/sst_dev does not fit this run")
    assert not (tmp_path / "store" / "sst_train").exists()


def test_a_typo_in_the_task_file(folder, call):
    path = folder / "tasks.yml"
    path.write_text(TASKS.replace("n_class", "n_clas"))
    check(call("train.py", folder), f"{path}:9", "task 'pair'", "'n_clas'", "mean 'n_class'?")


@pytest.mark.parametrize("cli", ["train.py", "prepro.py"])
@pytest.mark.parametrize(
    ("name", "rows", "words"),
    [
        ("sst_train", "a\tgood film\n", ["sst_train.tsv:1", "2 columns", "uid, label, premise"]),
        ("sst_train", "", ["sst_train.tsv", "no examples"]),
        ("sst_train", "a\t\tgood film\n", ["sst_train.tsv", "no labels"]),
        ("pair_train", "a\thigh\tb\tc\n", ["pair_train.tsv:1", "'high'", "not a number"]),
    ],
)
def test_malformed_rows(folder, call, cli, name, rows, words):
    (folder / f"{name}.tsv").write_text(rows)
    check(call(cli, folder), *words)
    assert not (folder / "runs").exists()  # nothing is written for a run that cannot start


def test_an_unknown_mixing(folder, call):
    check(
        call("train.py", folder, "--mixing.name", "propotional"),
        "mixing.name",
        "propotional",
        "Did you mean 'proportional'? Choices: annealed, capped",
    )


@pytest.mark.parametrize("cli", ["train.py", "prepro.py"])
def test_a_task_that_is_not_there(folder, call, cli):
    check(call(cli, folder, "--data.use", "sstt"), "tasks.yml", "'sstt'", "'sst'", "pair, sst")


@pytest.mark.parametrize("cli", ["train.py", "prepro.py"])
def test_an_encoder_that_is_not_there(folder, call, cli):
    check(call(cli, folder, "--model.encoder", str(folder / "nowhere")), "nowhere")


def test_no_rows_at_all(folder, call):
    (folder / "empty").mkdir()
    args = ("--data.data_dir", str(folder / "empty"))
    check(call("prepro.py", folder, *args), "no task of", "tasks.yml", f"{folder}/empty")
    check(call("train.py", folder, *args), "'sst' has no training rows", "sst_train.tsv")


def test_a_train_file_that_is_missing(folder, call):
    (folder / "pair_train.tsv").unlink()
    check(call("train.py", folder), "'pair' has no training rows", "--data.use")
