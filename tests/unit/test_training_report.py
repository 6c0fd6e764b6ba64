"""What a run says of itself before it starts."""

from __future__ import annotations

import sys

import pytest

from mt_dnn.config.bounds import resolve_config
from mt_dnn.config.run import RunConfig
from mt_dnn.config.smart import ProximalConfig
from mt_dnn.tracking import console
from mt_dnn.training.report import slow_teacher


@pytest.mark.parametrize(
    ("smart", "proximal", "total", "warns"),
    [
        ("smart", {}, 252, True),  # 0.999 averages over 1000 updates
        ("smart", {}, 5000, False),
        ("smart", {"beta_late": 0.95}, 252, False),
        ("smart", {"weight": 0.0}, 252, False),
        ("smart", {"teacher": "vbpp"}, 252, False),
        ("off", {}, 252, False),
    ],
)
def test_a_teacher_slower_than_the_run_is_told(smart, proximal, total, warns):
    config = resolve_config(RunConfig(smart=smart, proximal=ProximalConfig(**proximal)))
    notice = slow_teacher(config, total)
    assert (notice is not None) == warns
    if notice is not None:
        assert "1000 updates, but the run has only 252" in notice


def test_commands_call_the_interpreter_that_runs(monkeypatch, tmp_path):
    """``make demo`` uses an environment that nobody has activated."""
    monkeypatch.chdir(tmp_path)
    assert console.python() == "python"
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv" / "bin" / "python"))
    assert console.python() == ".venv/bin/python"


@pytest.mark.parametrize(
    ("started", "shown"),
    [
        ("train.py", "python predict.py"),
        ("{here}/train.py", "python predict.py"),
        ("code/prepro.py", "python code/predict.py"),
        ("/code/train.py", "python /code/predict.py"),
        ("/venv/bin/mt-dnn", "mt-dnn predict"),
        (".venv/bin/mt-dnn", ".venv/bin/mt-dnn predict"),
        ("/site-packages/mt_dnn/cli.py", "python -m mt_dnn.cli predict"),
        ("/venv/bin/pytest", "mt-dnn predict"),
        ("", "mt-dnn predict"),
    ],
)
def test_a_printed_command_starts_as_this_process_was_started(
    started, shown, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [started.format(here=tmp_path)])
    assert console.command("predict") == shown
