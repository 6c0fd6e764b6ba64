"""Flags and YAML -> RunConfig, and what is said where they are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from mt_dnn.command import parse_config, settings
from mt_dnn.config import RunConfig


@pytest.fixture
def config_file(tmp_path: Path):
    def write(text: str, name: str = "run.yml") -> str:
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


def refused(capsys, *args: str) -> str:
    with pytest.raises(SystemExit) as stop:
        parse_config(args)
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert "usage:" not in message
    assert len(message.splitlines()) < 12
    return message


def test_without_arguments_the_defaults():
    assert parse_config([]) == RunConfig()


def test_flags_override_the_file(config_file):
    path = config_file("seed: 3\noptim: {lr: 1.0e-3}\ndata: {use: [a, b]}\n")
    config = parse_config(["--config", path, "--optim.lr", "0.5"])
    assert (config.seed, config.optim.lr, config.data.use) == (3, 0.5, ("a", "b"))
    assert config.optim.name == "adamw"


@pytest.mark.parametrize(
    "args",
    [
        ["--data.use", "[rte,mrpc]"],
        ["--data.use", '["rte", "mrpc"]'],
        ["--data.use", "rte,mrpc"],
        ["--data.use", "rte, mrpc"],
        ["--data.use=rte,mrpc"],
        ["--data.use=[rte,mrpc]"],
    ],
)
def test_a_list_with_or_without_brackets(args):
    assert parse_config([*args, "--seed", "3"]).data.use == ("rte", "mrpc")
    assert parse_config([*args, "--seed", "3"]).seed == 3


def test_lists_of_one_of_none_and_of_patterns():
    assert parse_config(["--data.use", "rte"]).data.use == ("rte",)
    assert parse_config(["--data.use", ""]).data.use == ()
    patterns = parse_config(["--optim.freeze", "*embeddings*,encoder.*.0.*"]).optim.freeze
    assert patterns == ("*embeddings*", "encoder.*.0.*")
    assert parse_config(["--optim.betas", "[0.5,0.9]"]).optim.betas == (0.5, 0.9)


def test_every_setting_is_known():
    names = [name for name, _ in settings()]
    assert {"seed", "data.use", "smoothness.weight", "proximal.beta"} <= set(names)
    assert "data" not in names


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("seed: 1\noptim:\n  lr: 1\n  wramup: 0.2\n", 4, ["optim.wramup", "'optim.warmup'"]),
        ("sede: 1\n", 1, ["sede", "'seed'", "Choices: ", "name"]),
        ("seed: 1\nlr: 1\n", 2, ["lr", "Did you mean optim.lr?"]),
        ("data: {tasks: x, uses: [a]}\n", 1, ["data.uses", "'data.use'"]),
    ],
)
def test_an_unknown_key_names_file_line_and_the_nearest(config_file, capsys, text, line, words):
    path = config_file(text)
    message = refused(capsys, "--config", path)
    for word in (f"{path}:{line}: unknown setting", *words):
        assert word in message
    assert refused(capsys, f"--config={path}") == message


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--mixing.name", "propotional"], ["mixing.name", "'proportional', 'ratio'", "propo"]),
        (["--optim.lr", "fast"], ["optim.lr: Expected a float", "fast"]),
        (["--lr", "1"], ["--lr", "Did you mean optim.lr?"]),
        (["--data.uses", "a"], ["--data.uses", "'data.use'"]),
        (["--config", "nowhere.yml"], ["nowhere.yml", "does not exist"]),
        (["word"], ["unrecognized", "word"]),
    ],
)
def test_a_wrong_flag_says_what_is_wrong(capsys, args, words):
    message = refused(capsys, *args)
    for word in (*words, "train.py --help"):
        assert word in message


@pytest.mark.parametrize("text", ["optim: {lr: 1\n", "a: b: c\n"])
def test_a_file_that_is_not_yaml(config_file, capsys, text):
    path = config_file(text)
    assert f"{path}: not valid YAML" in refused(capsys, "--config", path)
