"""Messages about settings: jsonargparse's wording is recognised, unknown names get a suggestion."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import pytest
from jsonargparse import ArgumentParser

from data_utils.errors import UserError
from mt_dnn.config.messages import in_words
from mt_dnn.config.options import parse_options
from mt_dnn.config.parser import parse_config, run_parser, settings
from mt_dnn.config.suggestions import SYNONYMS
from mt_dnn.task_types.checks import complete_options
from tests.support.tasks import make_task

KNOWN = [name for name, _ in settings()]


def refused(capsys, *arguments: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        parse_config(arguments)
    assert stopped.value.code == 2
    return capsys.readouterr().err.splitlines()[0]


def of_the_library(*arguments: str) -> str:
    """What jsonargparse itself says, before it is reworded."""
    messages: list[str] = []

    class Parser(ArgumentParser):
        def error(self, message, ex=None):
            messages.append(message)
            raise SystemExit(2)

    parser = run_parser("x", "")
    parser.__class__ = Parser
    with pytest.raises(SystemExit):
        parser.parse_args(list(arguments))
    return messages[0]


# If one of these fails after an update of jsonargparse, adapt mt_dnn/config/messages.py.


@pytest.mark.parametrize(
    ("arguments", "begins"),
    [
        (["--system.device", "gpu"], 'Parser key "system.device":'),
        (["--train.epochs", "many"], 'Parser key "train.epochs":'),
        (["--nothing", "1"], "unrecognized arguments: --nothing"),
    ],
)
def test_how_the_library_words_its_messages(arguments, begins):
    assert of_the_library(*arguments).startswith(begins)


def test_where_the_library_shows_the_value():
    assert of_the_library("--train.epochs", "many").endswith("Got value: many")
    assert of_the_library("--train.eval_every", "many").endswith("Given value: many")
    assert "Unable to load config 'fast'" in of_the_library("--optim", "fast")
    assert "File does not exist: " in of_the_library("--config", "none.yml")


@pytest.fixture(scope="module")
def parser():
    return run_parser("mt-dnn train", "")


@pytest.mark.parametrize(("name", "hint"), settings())
def test_a_wrong_value_of_any_setting_is_one_clear_line(parser, capsys, name, hint):
    if hint in (str, str | None, tuple[str, ...]):
        return  # any text is one
    with pytest.raises(SystemExit) as stopped:
        parser.parse_args([f"--{name}", "o_o"])
    assert stopped.value.code == 2
    message, rest = capsys.readouterr().err.split("\n", 1)
    assert message == f"error: {name}: expected {in_words(hint)}, got o_o"
    assert not any(word in message for word in ("class", "typing", "[", "NoneType"))
    assert rest == "mt-dnn train --help lists every setting.\n"


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (int, "a whole number"),
        (float | None, "a number or null"),
        (bool, "true or false"),
        (Literal["a", "b"], "one of a, b"),
        (Literal["a", "b"] | None, "one of a, b or null"),
        (tuple[str, ...], "a list of texts"),
        (list[int], "a list of whole numbers"),
        (tuple[float, float], "a list of 2 numbers"),
        (dict[str, int], "a mapping of names to whole numbers"),
        (dict[str, Any], "a mapping of names to values"),
        (dict[str, dict[str, Any]] | None, "a mapping of names to mappings or null"),
    ],
)
def test_types_in_words(hint, words):
    assert in_words(hint) == words


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--system.device", "gpu"],
            "error: system.device: expected one of auto, cuda, mps, cpu, got gpu",
        ),
        (["--train.epochs", "many"], "error: train.epochs: expected a whole number, got many"),
        (
            ["--optim.learning_rate", "1"],
            "error: there is no setting optim.learning_rate. Did you mean optim.lr?",
        ),
    ],
)
def test_a_message_in_the_words_of_the_settings(capsys, arguments, message):
    assert refused(capsys, *arguments) == message


def test_the_reason_for_an_option():
    def build(*, power: float) -> None: ...

    with pytest.raises(UserError, match=r"^optim\.options: power: expected a number, got high$"):
        parse_options(build, {"power": "high"}, name="build", where="optim.options")


def test_the_reason_for_an_option_that_may_be_null():
    def build(*, cap: int | None = None) -> None: ...

    with pytest.raises(
        UserError, match=r"^optim\.options: cap: expected a whole number or null, got 1\.5$"
    ):
        parse_options(build, {"cap": 1.5}, name="build", where="optim.options")


def test_an_option_of_a_task_whose_default_is_null_takes_every_value():
    task = replace(make_task(), options={"cap": 3})
    assert complete_options(task, {"cap": None}) == {"cap": 3}
    with pytest.raises(UserError, match="options: cap: expected true or false, got 3"):
        complete_options(task, {"cap": False})


@pytest.mark.parametrize("theirs", SYNONYMS)
def test_every_synonym_leads_to_a_setting(theirs):
    assert SYNONYMS[theirs] in KNOWN
    assert theirs not in KNOWN


@pytest.mark.parametrize(
    ("flag", "ours"),
    [
        ("--optim.learning_rate", "optim.lr"),
        ("--learning_rate", "optim.lr"),
        ("--batch_size", "batch.size"),
        ("--train.batch_size", "batch.size"),
        ("--train.num_epochs", "train.epochs"),
        ("--epochs", "train.epochs"),
        ("--optim.warmup_ratio", "optim.warmup"),
        ("--max_length", "data.max_seq_len"),
        ("--data.max_len", "data.max_seq_len"),
        ("--adv_epsilon", "smoothness.epsilon"),
    ],
)
def test_an_unknown_flag_suggests_the_setting_that_was_meant(capsys, flag, ours):
    assert refused(capsys, flag, "1").endswith(f" Did you mean {ours}?")


def test_in_a_file_too(capsys, tmp_path):
    path = tmp_path / "run.yml"
    path.write_text("name: x\noptim:\n  learning_rate: 1\n")
    message = refused(capsys, "--config", str(path))
    assert (
        message == f"error: {path}:3: unknown setting optim.learning_rate. Did you mean optim.lr?"
    )


def test_a_typing_error_gets_the_nearest_setting(capsys):
    assert "Did you mean 'optim.schedule'? Choices: " in refused(capsys, "--optim.shedule", "1")


def test_a_file_that_is_not_utf8_names_its_line(capsys, tmp_path):
    path = tmp_path / "run.yml"
    path.write_bytes("name: x\nseed: 1 # é\n".encode("latin-1"))
    assert refused(capsys, "--config", str(path)).startswith(
        f"error: {path}:2: not UTF-8: byte 0xe9"
    )
