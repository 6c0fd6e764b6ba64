"""Flags and run files that are refused, by ``mt-dnn train``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mt_dnn.training import command
from tests.bad_input.expect import filled

FLAGS = [
    # arguments, message
    ("--optim.eps -1", "?"),
    ("--optim.eps 0", "?"),
    ("--optim.eps nan", "?"),
    ("--optim.betas [2,0.9]", "?"),
    ("--optim.betas [0.9,.nan]", "?"),
    ("--optim.betas [0.9]", "?"),
    ("--optim.betas [-0.1,0.9]", "?"),
    ("--optim.lr -1", "?"),
    ("--optim.lr nan", "?"),
    ("--optim.lr inf", "?"),
    ("--optim.head_lr inf", "?"),
    ("--optim.weight_decay inf", "?"),
    ("--optim.weight_decay nan", "?"),
    ("--optim.layer_decay 2", "?"),
    ("--optim.warmup 1.5", "?"),
    ("--optim.clip_norm -1", "?"),
    ("--optim.clip_norm nan", "?"),
    ("--optim.name adamm", "?"),
    ("--optim.schedule lineer", "?"),
    ("--optim.options 7", "?"),
    ("--optim.options.momentum 0.9", "?"),
    ("--seed -1", "?"),
    ("--seed 18446744073709551616", "?"),
    ("--seed 1.5", "?"),
    ("--name ''", "?"),
    ("--name " + "n" * 300, "?"),
    ("--name a/b", "?"),
    ("--name ..", "?"),
    ("--output_dir FOLDER/tasks.yml", "?"),
    ("--model.dropout 1", "?"),
    ("--model.dropout -0.1", "?"),
    ("--model.dropout nan", "?"),
    ("--model.pooling first", "?"),
    ("--model.init_from FOLDER/none", "?"),
    ("--model.encoder ''", "?"),
    ("--model.encoder FOLDER", "?"),
    ("--model.encoder package:nothing-of-this-name", "?"),
    ("--data.use cls,cls", "?"),
    ("--data.use csl", "?"),
    ("--data.max_seq_len 4", "?"),
    ("--data.max_seq_len 100000", "?"),
    ("--data.train_limit 0", "?"),
    ('--data.train_limits {"csl":5}', "?"),
    ('--data.train_limits {"cls":0}', "?"),
    ("--data.folds 1 --data.fold 1", "?"),
    ("--data.folds 3", "?"),
    ("--data.folds 3 --data.fold 4", "?"),
    ("--data.folds 3 --data.fold 1", "?"),
    ("--data.store_dir FOLDER/tasks.yml", "?"),
    ("--data.data_dir FOLDER/none", "?"),
    ("--data.tasks FOLDER/none.yml", "?"),
    ("--batch.size 0", "?"),
    ("--batch.size -3", "?"),
    ("--batch.size 1e3", "?"),
    ("--batch.pool 0", "?"),
    ("--batch.accumulate 0", "?"),
    ("--batch.pad_multiple 0", "?"),
    ("--batch.pad_multiple 100000000", "?"),
    ("--train.epochs 0", "?"),
    ("--train.epochs 1.5", "?"),
    ("--train.max_steps 0", "?"),
    ("--train.keep 0", "?"),
    ("--train.patience 0", "?"),
    ("--train.save_every -1", "?"),
    ("--mixing.name propotional", "?"),
    ("--mixing.ratio -1 --mixing.name ratio", "?"),
    ("--mixing.ratio nan --mixing.name ratio", "?"),
    ("--mixing.temperature 0 --mixing.name temperature", "?"),
    ("--mixing.temperature nan --mixing.name temperature", "?"),
    ("--mixing.cap 0 --mixing.name capped", "?"),
    ("--smart smrt", "?"),
    ("--smart smart --smoothness.epsilon -1", "?"),
    ("--smart smart --smoothness.epsilon nan", "?"),
    ("--smart smart --smoothness.weight inf", "?"),
    ("--smart smart --smoothness.step_size nan", "?"),
    ("--smart smart --proximal.momentum 2", "?"),
    ("--smart smart --proximal.momentum nan", "?"),
    ("--smoothness.divergence kll", "?"),
    ("--distill.weight 2", "?"),
    ("--distill.temperature 0", "?"),
    ("--distill.soft_labels FOLDER/none", "?"),
    ('--terms+ {"name":"nothing"}', "?"),
    ('--terms+ {"name":"l2_sp","weight":NaN}', "?"),
    ('--terms+ {"name":"l2_sp","weight":-1}', "?"),
    ("--trackers tensorbord", "?"),
    ("--plugins nothing_of_this_name", "?"),
    ("--system.device tpu", "?"),
    ("--system.threads 0", "?"),
    ("--system.workers -1", "?"),
    ("--system.precision fp16", "?"),
    ("--optim.learning_rate 1", "?"),
    ("--nothing 1", "?"),
]
FILES = [
    # name, text, message
    ("not YAML", "a: [1", "?"),
    ("a list", "- a", "?"),
    ("a word", "word", "?"),
    ("unknown key", "optim: {wramup: 0.1}", "?"),
    ("unknown section", "optimizer: {lr: 1}", "?"),
    ("a key twice", "seed: 1\nseed: 2", "?"),
    ("a key twice in a section", "optim:\n  lr: 1\n  lr: 2", "?"),
    ("a section twice", "optim: {lr: 1}\noptim: {eps: 1}", "?"),
    ("a section is a word", "optim: fast", "?"),
    ("a number is a word", "optim: {lr: fast}", "?"),
    ("a number is null", "optim: {lr: null}", "?"),
    ("a number is a list", "optim: {lr: [1]}", "?"),
    ("name is null", "name: null", "?"),
    ("name is a list", "name: [a]", "?"),
    ("nested 10000 deep", "name: " + "[" * 10_000 + "]" * 10_000, "?"),
    ("an integer of 5000 digits", "seed: " + "1" * 5000, "?"),
    ("an unknown tag", "name: !python/object:os.system x", "?"),
    ("an undefined anchor", "name: *a", "?"),
    ("an anchor in itself", "data: &a {use: *a}", "?"),
    ("two documents", "seed: 1\n---\nseed: 2", "?"),
    ("a control character", "name: \x01", "?"),
    ("a list as key", "? [a]\n: 1", "?"),
    ("a number as key", "7: 8", "?"),
    ("use is a mapping", "data: {use: {a: b}}", "?"),
]


@pytest.fixture
def train(folder: Path, encoder_folder: Path, outcome: Callable) -> Callable:
    base = ["--config", str(folder / "run.yml")]
    (folder / "run.yml").write_text(
        f"output_dir: {folder}/runs\n"
        f"data: {{tasks: {folder}/tasks.yml, data_dir: {folder}, max_seq_len: 16, use: [cls]}}\n"
        f"model: {{encoder: {encoder_folder}}}\n"
        "train: {epochs: 1, predictions: false, save_every: 0}\n"
        "trackers: []\n"
        "system: {device: cpu}\n"
    )
    return lambda *args: outcome(lambda: command.main([*base, *args]))


@pytest.mark.parametrize(("flags", "message"), FLAGS)
def test_bad_flags(folder: Path, train: Callable, flags: str, message: str) -> None:
    args = [word.replace("FOLDER", str(folder)) for word in flags.replace("''", "\0").split(" ")]
    result = train(*(word.replace("\0", "") for word in args))
    assert result == (2, filled(message, folder))


@pytest.mark.parametrize(("text", "message"), [c[1:] for c in FILES], ids=[c[0] for c in FILES])
def test_bad_run_files(folder: Path, train: Callable, text: str, message: str) -> None:
    (folder / "own.yml").write_text(text, encoding="utf-8")
    assert train("--config", str(folder / "own.yml")) == (2, filled(message, folder))


def test_a_run_file_that_is_not_utf8(folder: Path, train: Callable) -> None:
    (folder / "own.yml").write_bytes("# caf\xe9\n".encode("latin-1"))
    assert train("--config", str(folder / "own.yml")) == (2, filled("?", folder))


def test_a_run_file_that_is_missing(folder: Path, train: Callable) -> None:
    assert train("--config", str(folder / "none.yml")) == (2, filled("?", folder))
