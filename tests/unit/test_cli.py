"""The ``mt-dnn`` command: its subcommands, its help, a wrong name."""

from __future__ import annotations

import os
import sys

import pytest

from data_utils.cli import SPINS, run_cli
from mt_dnn import cli
from mt_dnn.tables import command as table


def ended(args: list[str] | None = None) -> int:
    with pytest.raises(SystemExit) as end:
        cli.main(args)
    return int(end.value.code or 0)


def test_help_names_every_subcommand(capsys):
    assert ended(["--help"]) == 0
    shown = capsys.readouterr().out
    for name, command in cli.COMMANDS.items():
        assert f"  {name} " in shown
        assert command.summary in shown


def test_without_a_subcommand_it_prints_its_usage_and_fails(capsys):
    assert ended([]) == 2
    out, err = capsys.readouterr()
    assert (out, err.splitlines()[0]) == ("", "usage: mt-dnn COMMAND [options]")


def test_a_wrong_subcommand_is_one_line_with_the_nearest_and_all(capsys):
    assert ended(["trian", "--config", "run.yml"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "error: mt-dnn has no command 'trian'. Did you mean 'train'? "
        f"Choices: {', '.join(sorted(cli.COMMANDS))}.\n"
    )


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_subcommand_gives_help_under_its_name(name, capsys):
    assert ended([name, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: mt-dnn {name} ")


@pytest.mark.parametrize("name", ["train", "prepare"])
def test_a_fault_in_the_options_names_the_command_that_lists_them(name, capsys):
    assert ended([name, "--optim.learning_rate", "1"]) == 2
    assert f"\nmt-dnn {name} --help lists every setting.\n" in capsys.readouterr().err


def test_the_arguments_of_the_process_reach_the_subcommand_and_its_code_comes_back(monkeypatch):
    received = []

    def main(args, *, prog):
        received.append((args, prog))
        return 1

    monkeypatch.setattr(table, "main", main)
    monkeypatch.setattr(sys, "argv", ["/venv/bin/mt-dnn", "table", "study.yml", "--jobs", "2"])
    assert ended() == 1
    assert received == [(["study.yml", "--jobs", "2"], "mt-dnn table")]


@pytest.mark.parametrize("script", ["train", "prepro", "predict"])
def test_a_script_keeps_its_own_name(script, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", [f"{script}.py", "--help"])
    with pytest.raises(SystemExit) as end:
        __import__(script).main()
    assert not end.value.code
    assert capsys.readouterr().out.startswith(f"usage: {script}.py ")


@pytest.mark.parametrize(("given", "used"), [(None, SPINS), ("7", "7")])
def test_waiting_threads_sleep_soon_unless_the_user_says_otherwise(monkeypatch, given, used):
    monkeypatch.setenv("GOMP_SPINCOUNT", given or "")
    if given is None:
        monkeypatch.delenv("GOMP_SPINCOUNT")
    found = []
    with pytest.raises(SystemExit):
        run_cli(lambda: found.append(os.environ["GOMP_SPINCOUNT"]))
    assert found == [used]
