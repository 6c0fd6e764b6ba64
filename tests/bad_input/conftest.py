"""A folder of tiny tasks of every data format, and the commands that read it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from data_utils.cli import run_cli
from mt_dnn.config.run import DataConfig, ModelConfig, RunConfig
from mt_dnn.runs.stores import prepare_all
from tests.bad_input.folder import write_folder

Outcome = tuple[int, str]
"""Exit code and standard error."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Task file, rows and run file that are in order."""
    write_folder(tmp_path)
    return tmp_path


@pytest.fixture
def outcome(capsys: pytest.CaptureFixture[str]) -> Callable[[Callable[[], object]], Outcome]:
    """Run a function as a command line: exit code and standard error."""

    def run(function: Callable[[], object]) -> Outcome:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            run_cli(function)
        return int(end.value.code or 0), capsys.readouterr().err

    return run


@pytest.fixture
def prepare(
    folder: Path, encoder_folder: Path, outcome: Callable[[Callable[[], object]], Outcome]
) -> Callable[..., Outcome]:
    """``prepare("cls")``: tokenize the rows of these tasks of the folder."""

    def run(*use: str, **data: object) -> Outcome:
        values = {"tasks": str(folder / "tasks.yml"), "data_dir": str(folder), "max_seq_len": 16}
        config = RunConfig(
            data=DataConfig(**values | {"use": use} | data),  # type: ignore[arg-type]
            model=ModelConfig(encoder=str(encoder_folder)),
        )
        return outcome(lambda: prepare_all(config, log=lambda line: None))

    return run
