"""Run a command line in the process of the test."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from data_utils.cli import run_cli

Main = Callable[[], object]
Command = Callable[..., tuple[int, str, str]]


def call(main: Main, *argv: object, program: str = "program") -> int:
    """The exit code of ``main`` with these arguments on the command line."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [program, *map(str, argv)])
        with pytest.raises(SystemExit) as end:
            run_cli(main)
    return int(end.value.code or 0)


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """``command(main, *argv)``: exit code, standard output, standard error of this call alone."""

    def run(main: Main, *argv: object, program: str = "program") -> tuple[int, str, str]:
        capsys.readouterr()
        code = call(main, *argv, program=program)
        return code, *capsys.readouterr()

    return run
