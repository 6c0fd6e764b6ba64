"""Flags and run files that are refused, by ``mt-dnn train``."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from mt_dnn.config.parser import parse_config
from mt_dnn.config.unused import settings_without_effect
from mt_dnn.training import command
from tests.bad_input.expect import filled

# fmt: off
FLAGS = [
    # arguments, message
    ("--optim.eps -1", "optim.eps: -1.0; it must be positive, such as 1e-8"),
    ("--optim.eps 0", "optim.eps: 0.0; it must be positive, such as 1e-8"),
    ("--optim.eps nan", "optim.eps: expected a number, got nan\nHELP"),
    ("--optim.betas [2,0.9]", "optim.betas: [2.0, 0.9]; each must be at least 0 and below 1"),
    ("--optim.betas [0.9,.nan]", "optim.betas: [0.9, nan]; each must be at least 0 and below 1"),
    ("--optim.betas [0.9]", "optim.betas: expected a list of 2 numbers, got [0.9]\nHELP"),
    ("--optim.betas [-0.1,0.9]", "optim.betas: [-0.1, 0.9]; each must be at least 0 and below 1"),
    ("--optim.lr -1", "optim.lr: -1.0; it must be positive, such as 5e-5"),
    ("--optim.lr nan", "optim.lr: expected a number, got nan\nHELP"),
    ("--optim.lr inf", "optim.lr: expected a number, got inf\nHELP"),
    ("--optim.head_lr inf", "optim.head_lr: expected a number or null, got inf\nHELP"),
    ("--optim.weight_decay inf", "optim.weight_decay: expected a number, got inf\nHELP"),
    ("--optim.weight_decay nan", "optim.weight_decay: expected a number, got nan\nHELP"),
    ("--optim.layer_decay 2", "optim.layer_decay: 2.0; it must be between 0 and 1"),
    ("--optim.warmup 1.5", "optim.warmup: 1.5; it must be between 0 and 1"),
    ("--optim.clip_norm -1", "optim.clip_norm: -1.0; it must be at least 0"),
    ("--optim.clip_norm nan", "optim.clip_norm: expected a number, got nan\nHELP"),
    ("--optim.name adamm", "--optim.name: unknown optimizer 'adamm'. Did you mean 'radam'? Choices: adamax, adamw, radam, sgd.\nHELP"),
    ("--optim.schedule lineer", "--optim.schedule: unknown schedule 'lineer'. Did you mean 'linear'? Choices: constant, cosine, linear, polynomial.\nHELP"),
    ("--optim.options 7", "optim.options: expected a mapping of names to values, got 7\nHELP"),
    ("--optim.options.momentum 0.9", "optim.options: adamw has no option 'momentum'. It has no options. optim.options: {} removes those that were given with another name.\nHELP"),
    ("--optim.freeze encodr.*", "optim.freeze: 'encodr.*' matches no parameter. Did you mean 'encoder.*'? Choices: encoder.model.embeddings.*, encoder.model.encoder.layer.0.* to encoder.model.encoder.layer.1.*, heads.cls.*."),
    ("--optim.freeze *", "optim.freeze: all parameters are frozen; leave some to train"),
    ("--optim.name sgd --optim.options.momentum -1", "optim.options: sgd does not take {'momentum': -1.0}: Invalid momentum value: -1.0"),
    ("--optim.name sgd --optim.options.nesterov true", "optim.options: sgd does not take {'nesterov': True}: Nesterov momentum requires ..."),
    ("--optim.schedule polynomial --optim.schedule_options.power -1", "optim.schedule_options: power: -1.0; it must be at least 0"),
    ("--batch.accumulate 2 --optim.combine pcgrad --optim.freeze encoder.*", "optim.combine: optim.freeze leaves no parameter of the encoder to train, so that the tasks share no gradient; leave optim.combine out"),
    ("--model.adapter lora --model.adapter_options.targets qurey", "model.adapter_options: targets: 'qurey' is no linear layer of this BertModel. Did you mean 'query'? Choices: all-linear, dense, key, query, value. A longer name, ..."),
    ("--model.num_layers 3", "model.num_layers: 3; bert has 2 layers"),
    ("--output_dir FOLDER/tasks.yml", "output_dir: FOLDER/tasks.yml/run cannot be created, because FOLDER/tasks.yml is not a folder"),
    ("--batch.accumulate 2 --optim.combine pcgrad --optim.combine_options.c 1", "optim.combine_options: PCGrad has no option 'c'. It has no options."),
    ("--resume true --overwrite true", "resume and overwrite are both true: one continues the run, the other deletes it. Set one to false"),
    ("--seed -1", "seed: -1; it must be between 0 and 9223372036854775807"),
    ("--seed 18446744073709551616", "seed: 18446744073709551616; it must be between 0 and 9223372036854775807"),
    ("--seed 1.5", "seed: expected a whole number, got 1.5\nHELP"),
    ("--model.dropout 1", "model.dropout: 1.0; it must be at least 0 and below 1"),
    ("--model.dropout -0.1", "model.dropout: -0.1; it must be at least 0 and below 1"),
    ("--model.dropout nan", "model.dropout: expected a number, got nan\nHELP"),
    ("--model.pooling first", "model.pooling: expected one of cls, mean, max, attention, pair, got first\nHELP"),
    ("--model.init_from FOLDER/none", "FOLDER/none is not a finished run: it has no best/mt_dnn.json. Name a run directory, or its best/ folder"),
    ("--model.encoder ''", "encoder '': the folder has no config.json. Choices: ..."),
    ("--model.encoder FOLDER", "encoder 'FOLDER': the folder has no config.json. Choices: ..."),
    ("--model.encoder package:nothing-of-this-name", "encoder 'package:nothing-of-this-name': no package of this name is installed. Check the name, or install the package. ..."),
    ("--data.use cls,cls", "data.use: FOLDER/tasks.yml: task 'cls' is named twice"),
    ("--data.use csl", "data.use: FOLDER/tasks.yml has no task 'csl'. Did you mean 'cls'? Choices: cloze, cls, ids, num, pair, pick, rank, span, tags, text, words, write."),
    ("--data.max_seq_len 4", "data.max_seq_len: 4; it must be at least 8"),
    ("--data.max_seq_len 100000", "data.max_seq_len: 100000 exceeds the 128 positions of ENCODER; use at most 128"),
    ("--data.train_limit 0", "data.train_limit: 0; it must be at least 1"),
    ('--data.train_limits {"csl":5}', "data.train_limits: FOLDER/tasks.yml has no task 'csl'. Did you mean 'cls'? Choices: cloze, cls, ids, num, pair, pick, rank, span, tags, text, words, write."),
    ('--data.train_limits {"cls":0}', "data.train_limits: cls: 0; it must be at least 1"),
    ("--data.folds 1 --data.fold 1", "data.folds: 1; it must be at least 2"),
    ("--data.folds 3", "data.folds: set data.fold too, or neither of them"),
    ("--data.folds 3 --data.fold 4", "data.fold: 4; data.folds is 3, and folds are counted from 1"),
    ("--data.folds 3 --data.fold 1", "data.folds: FOLDER/cls_train.tsv: 2 rows cannot be divided into 3 folds; use at most 2"),
    ("--data.store_dir FOLDER/tasks.yml", "FOLDER/tasks.yml cannot be written: File exists"),
    ("--data.data_dir FOLDER/none", "task 'cls' has no training rows: there is no FOLDER/none/cls_train.tsv or .jsonl. Prepare them, or name the tasks to train: --data.use"),
    ("--data.tasks FOLDER/none.yml", "task file FOLDER/none.yml does not exist"),
    ("--batch.size 0", "batch.size: 0; it must be at least 1"),
    ("--batch.size -3", "batch.size: -3; it must be at least 1"),
    ("--batch.size 1e3", "batch.size: expected a whole number, got 1000.0\nHELP"),
    ("--batch.pool 0", "batch.pool: 0; it must be at least 1"),
    ("--batch.accumulate 0", "batch.accumulate: 0; it must be at least 1"),
    ("--batch.pad_multiple 0", "batch.pad_multiple: 0; it must be between 1 and 1024"),
    ("--batch.pad_multiple 100000000", "batch.pad_multiple: 100000000; it must be between 1 and 1024"),
    ("--train.epochs 0", "train.epochs: 0; it must be at least 1"),
    ("--train.epochs 1.5", "train.epochs: expected a whole number, got 1.5\nHELP"),
    ("--train.max_steps 0", "train.max_steps: 0; it must be at least 1"),
    ("--train.keep 0", "train.keep: 0; it must be at least 1"),
    ("--train.patience 0", "train.patience: 0; it must be at least 1"),
    ("--train.save_every -1", "train.save_every: -1; it must be at least 0"),
    ("--mixing.name propotional", "--mixing.name: unknown mixing strategy 'propotional'. Did you mean 'proportional'? Choices: ..."),
    ("--mixing.ratio -1 --mixing.name ratio", "mixing.ratio: -1.0 is negative; choices: 0 or more."),
    ("--mixing.ratio nan --mixing.name ratio", "mixing.ratio: expected a number, got nan\nHELP"),
    ("--mixing.temperature 0 --mixing.name temperature", "mixing.temperature: 0.0 is not positive; choices: above 0 (1 is in proportion to size, large is uniform)."),
    ("--mixing.temperature nan --mixing.name temperature", "mixing.temperature: expected a number, got nan\nHELP"),
    ("--mixing.cap 0 --mixing.name capped", "mixing.cap: 0 examples; choices: 1 or more."),
    ('--mixing.name rates --mixing.options.rates {"csl":2}', "mixing.options.rates: csl: no such task is trained. Did you mean 'cls'? Choices: cls."),
    ('--mixing.name rates --mixing.options.rates {"pair":2}', "mixing.options.rates: pair: no such task is trained. Choices: cls."),
    ('--mixing.name rates --mixing.options.rates {"cls":-2}', "mixing.options.rates: cls: -2.0; choices: 0 or more."),
    ('--mixing.name rates --mixing.options.rates {"cls":0}', "mixing.options.rates: all are 0; choices: at least one above 0."),
    ("--mixing.name rates --mixing.options.cap 0", "mixing.options.cap: 0 examples; choices: 1 or more."),
    ("--train.select_on csl", "train.select_on: the run evaluates no data set 'csl'. It has no dev sets: leave select_on out."),
    ("--train.select_on pair", "train.select_on: the run evaluates no data set 'pair'. ..."),
    ("--smart smrt", "--smart: unknown preset 'smrt'. Did you mean 'smart'? Choices: ..."),
    ("--smart smart --smoothness.epsilon -1", "smoothness.epsilon: the radius must be greater than 0, got -1.0"),
    ("--smart smart --smoothness.epsilon nan", "smoothness.epsilon: expected a number or null, got nan\nHELP"),
    ("--smart smart --smoothness.weight inf", "smoothness.weight: expected a number or null, got inf\nHELP"),
    ("--smart smart --smoothness.step_size nan", "smoothness.step_size: expected a number or null, got nan\nHELP"),
    ("--smart smart --proximal.momentum 2", "there is no setting proximal.momentum. Did you mean 'proximal.beta'? Choices: ..."),
    ("--smart smart --proximal.momentum nan", "there is no setting proximal.momentum. Did you mean 'proximal.beta'? Choices: ..."),
    ("--smoothness.divergence kll", "--smoothness.divergence: unknown divergence 'kll'. Did you mean 'kl'? Choices: ..."),
    ("--distill.weight 2", "distill.weight: 2.0; it must be between 0 and 1"),
    ("--distill.temperature 0", "distill.temperature: 0.0; it must be greater than 0"),
    ("--distill.soft_labels FOLDER/cls_train.tsv", "distill.soft_labels: FOLDER/cls_train.tsv is a file; name the folder that contains cls_train.jsonl"),
    ("--plugins a/b", "--plugins: 'a/b' is not the name of a Python module; write a.b\nHELP"),
    ("--plugins ./a/b.py", "--plugins: './a/b.py' is not the name of a Python module; write a.b\nHELP"),
    ("--plugins ../a.py", "--plugins: '../a.py' is not the name of a Python module\nHELP"),
    ("--distill.soft_labels FOLDER/none", "distill.soft_labels: none of these files exists: FOLDER/none/cls_train.jsonl. predict.py --what logits writes them"),
    ('--terms+ {"name":"nothing"}', "--terms: unknown loss term 'nothing'. Choices: ..."),
    ('--terms+ {"name":"l2_sp","weight":NaN}', "--terms+: weight: expected a number, got NaN\nHELP"),
    ('--terms+ {"name":"l2_sp","weight":-1}', "--terms: unknown loss term 'l2_sp'. Choices: ..."),
    ('--terms+ {"name":"l2_sp","wieght":1}', "--terms+: unknown key 'wieght'. Did you mean 'weight'? Choices: name, options, tag, weight, weights.\nHELP"),
    ("--terms+ 3", "--terms+: 3 is not an entry, such as {name: ..., weight: 0.01}\nHELP"),
    ("--trackers tensorbord", "--trackers: unknown tracker 'tensorbord'. Did you mean 'tensorboard'? Choices: ..."),
    ("--plugins nothing_of_this_name", "--plugins: there is no module 'nothing_of_this_name' in ..."),
    ("--system.device tpu", "system.device: expected one of auto, cuda, mps, cpu, got tpu\nHELP"),
    ("--system.threads 0", "system.threads: 0; it must be between 1 and 1024"),
    ("--system.workers 65", "system.workers: 65; it must be between 0 and 64"),
    ("--system.workers -1", "system.workers: -1; it must be between 0 and 64"),
    ("--system.precision fp16", "system.precision: fp16 needs CUDA, not cpu. Choices: fp32, bf16."),
    ("--optim.learning_rate 1", "there is no setting optim.learning_rate. Did you mean optim.lr?\nHELP"),
    ("--nothing 1", "there is no setting nothing. Choices: ..."),
]
# fmt: on
# fmt: off
FILES = [
    # name, text, message
    ("not YAML", "a: [1", "FOLDER/own.yml:1: not valid YAML: expected ',' or ']', but got '<stream end>'\nHELP"),
    ("a list", "- a", "FOLDER/own.yml: expected settings, such as `seed: 1`\nHELP"),
    ("a word", "word", "FOLDER/own.yml: expected settings, such as `seed: 1`\nHELP"),
    ("unknown key", "optim: {wramup: 0.1}", "FOLDER/own.yml:1: unknown setting optim.wramup. Did you mean 'optim.warmup'? Choices: ..."),
    ("unknown section", "optimizer: {lr: 1}", "FOLDER/own.yml:1: unknown setting optimizer. Did you mean optim.name?\nHELP"),
    ("a key twice", "seed: 1\nseed: 2", "FOLDER/own.yml:2: key seed occurs twice\nHELP"),
    ("a key twice in a section", "optim:\n  lr: 1\n  lr: 2", "FOLDER/own.yml:3: key optim.lr occurs twice\nHELP"),
    ("a section twice", "optim: {lr: 1}\noptim: {eps: 1}", "FOLDER/own.yml:2: key optim occurs twice\nHELP"),
    ("a section is a word", "optim: fast", "FOLDER/own.yml:1: optim: expected settings of the section, or a file that has them, got fast\nHELP"),
    ("a number is a word", "optim: {lr: fast}", "FOLDER/own.yml:1: optim.lr: expected a number, got fast\nHELP"),
    ("a number is null", "optim: {lr: null}", "FOLDER/own.yml:1: optim.lr: null; this setting needs a value"),
    ("a number is a list", "optim: {lr: [1]}", "FOLDER/own.yml:1: optim.lr: expected a number, got [1]\nHELP"),
    ("a section is a number", "seed: 1\noptim: 3", "FOLDER/own.yml:2: optim: expected the settings of the section, such as `optim: {name: ...}`; leave optim out to use the defaults\nHELP"),
    ("a section is a list", "optim: [1]", "FOLDER/own.yml:1: optim: expected the settings of the section, ..."),
    ("a section is empty", "optim:\nseed: 1", "FOLDER/own.yml:1: optim: expected the settings of the section, ..."),
    ("terms are a mapping", "terms: {name: x}", "FOLDER/own.yml:1: terms: expected a list, with a dash before each entry\nHELP"),
    ("a term is a number", "terms: [3]", "FOLDER/own.yml:1: terms: 3 is not an entry, such as {name: ..., weight: 0.01}\nHELP"),
    ("a wrong term as a table writes it", "terms:\n- class_path: mt_dnn.config.run.TermConfig\n  init_args: {name: x, weigth: 1}\n  __subclasses_disabled__: true", "FOLDER/own.yml:2: terms: unknown key 'weigth'. Did you mean 'weight'? Choices: ..."),
    ("a term without a name", "terms:\n  - weight: 1", "FOLDER/own.yml:2: terms: key 'name' is missing\nHELP"),
    ("a misspelt key of a term", "terms:\n  - name: x\n    wieghts: {cls: 1}", "FOLDER/own.yml:3: terms: unknown key 'wieghts'. Did you mean 'weights'? Choices: name, options, tag, weight, weights.\nHELP"),
    ("a weight of a term is a word", "terms:\n  - name: x\n    weight: heavy", "FOLDER/own.yml:3: terms: weight: expected a number, got heavy\nHELP"),
    ("a limit is a word", "data:\n  train_limits: {cls: many}", "FOLDER/own.yml:2: data.train_limits: expected a mapping of names to whole numbers, got many\nHELP"),
    ("aliases of 10^9 values", "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(f"{n}: &{n} [{', '.join([f'*{b}'] * 10)}]\n" for b, n in pairwise("abcdefghi")), "FOLDER/own.yml: not valid YAML: its aliases expand to more than 100000 values\nHELP"),
    ("name is null", "name: null", "FOLDER/own.yml:1: name: null; this setting needs a value"),
    ("name is a list", "name: [a]", "FOLDER/own.yml:1: name: expected a text, got ['a']\nHELP"),
    ("nested 10000 deep", "name: " + "[" * 10_000 + "]" * 10_000, "FOLDER/own.yml: not valid YAML: ..."),
    ("an integer of 5000 digits", "seed: " + "1" * 5000, "FOLDER/own.yml: not valid YAML: ..."),
    ("an unknown tag", "name: !python/object:os.system x", "FOLDER/own.yml:1: not valid YAML: could not determine a constructor for the tag '!python/object:os.system'\nHELP"),
    ("an undefined anchor", "name: *a", "FOLDER/own.yml:1: not valid YAML: found undefined alias 'a'\nHELP"),
    ("an anchor in itself", "data: &a {use: *a}", "FOLDER/own.yml: not valid YAML: ..."),
    ("no such parameter", "optim:\n  lr: 1.0e-3\n  freeze: ['hads.*']", "FOLDER/own.yml:3: optim.freeze: 'hads.*' matches no parameter. Did you mean 'heads.*'? ..."),
    ("an option of a part of a setting", "mixing: {name: rates,\n  options: {rates: {csl: 2}}}", "FOLDER/own.yml:2: mixing.options.rates: csl: no such task is trained. Did you mean 'cls'? ..."),
    ("two documents", "seed: 1\n---\nseed: 2", "FOLDER/own.yml:2: not valid YAML: expected a single document in the stream, but found another document\nHELP"),
    ("a control character", "name: \x01", "FOLDER/own.yml: not valid YAML: ..."),
    ("a list as key", "? [a]\n: 1", "FOLDER/own.yml:1: not valid YAML: found unhashable key\nHELP"),
    ("a number as key", "7: 8", "FOLDER/own.yml:1: unknown setting 7. Choices: ..."),
    ("use is a mapping", "data: {use: {a: b}}", "FOLDER/own.yml:1: data.use: expected a list of texts, got {'a': 'b'}\nHELP"),
]
# fmt: on


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
def test_bad_flags(
    folder: Path, encoder_folder: Path, train: Callable, flags: str, message: str
) -> None:
    args = [word.replace("FOLDER", str(folder)) for word in flags.replace("''", "\0").split(" ")]
    result = train(*(word.replace("\0", "") for word in args))
    assert result == (2, filled(message, folder, encoder_folder))
    needs_rows = "2 rows" in message  # all else is known before they are tokenized
    assert (folder / "store").exists() == needs_rows


def test_a_name_that_is_taken_is_refused_before_rows_are_read(
    folder: Path, train: Callable
) -> None:
    (folder / "runs/run").mkdir(parents=True)
    (folder / "runs/run/run.json").write_text("{}")
    assert train() == (2, filled("FOLDER/runs/run holds a run already: continue it ...", folder))
    assert not (folder / "store").exists()


@pytest.mark.parametrize(("text", "message"), [c[1:] for c in FILES], ids=[c[0] for c in FILES])
def test_bad_run_files(folder: Path, train: Callable, text: str, message: str) -> None:
    (folder / "own.yml").write_text(text, encoding="utf-8")
    assert train("--config", str(folder / "own.yml")) == (2, filled(message, folder))


def test_a_run_file_that_is_not_utf8(folder: Path, train: Callable) -> None:
    (folder / "own.yml").write_bytes("# caf\xe9\n".encode("latin-1"))
    assert train("--config", str(folder / "own.yml")) == (
        2,
        filled("FOLDER/own.yml:1: not UTF-8: byte 0xe9 after ...", folder),
    )


def test_a_run_file_that_is_missing(folder: Path, train: Callable) -> None:
    assert train("--config", str(folder / "none.yml")) == (
        2,
        filled("--config: file 'FOLDER/none.yml' does not exist\nHELP", folder),
    )


@pytest.mark.parametrize(
    ("flags", "lines"),
    [
        ("", []),
        (
            "--mixing.temperature 5",
            ["mixing.temperature 5.0 has no effect: it needs mixing.name temperature"],
        ),
        ("--mixing.temperature 5 --mixing.name temperature", []),
        (
            "--mixing.ratio 2 --mixing.cap 9 --mixing.name capped",
            ["mixing.ratio 2.0 has no effect: it needs mixing.name ratio"],
        ),
        ("--distill.weight 1", ["distill.weight 1.0 has no effect: it needs distill.soft_labels"]),
        ("--distill.weight 1 --distill.soft_labels soft", []),
        (
            "--batch.pool 9 --batch.group_by_length false",
            ["batch.pool 9 has no effect: it needs batch.group_by_length"],
        ),
        (
            "--optim.name sgd --optim.eps 1e-6",
            ["optim.eps 1e-06 has no effect: it needs optim.name adamw, adamax or radam"],
        ),
        (
            '--data.train_limits {"pair":5,"cls":6}',
            ["data.train_limits pair 5 has no effect: the run does not train pair"],
        ),
        (
            '--tracker_options {"wandb":{"project":"x"}}',
            ["tracker_options wandb has no effect: it needs trackers wandb"],
        ),
        (
            "--smoothness.epsilon 1",
            [
                "smoothness.epsilon 1.0 has no effect: it needs smoothness.weight above 0, which a preset "
                "such as smart sets"
            ],
        ),
        ("--smart smart --smoothness.epsilon 1 --proximal.steps 4", []),
        ("--smart smart --smoothness.weight 0", []),
    ],
)
def test_settings_without_effect(flags: str, lines: list[str]) -> None:
    assert list(settings_without_effect(parse_config(flags.split()), ["cls"])) == lines


def test_the_place_of_a_flag_hides_that_of_the_file(folder: Path, train: Callable) -> None:
    (folder / "own.yml").write_text("optim: {freeze: [x]}")
    _, message = train("--config", str(folder / "own.yml"), "--optim.freeze", "y")
    assert message.startswith("error: optim.freeze: 'y' matches no parameter.")
