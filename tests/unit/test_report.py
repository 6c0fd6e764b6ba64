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
        assert "1000 updates and the run has 252" in notice


def test_commands_call_the_interpreter_that_runs(monkeypatch, tmp_path):
    """``make demo`` uses an environment that nobody has activated."""
    monkeypatch.chdir(tmp_path)
    assert console.python() == "python"
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv" / "bin" / "python"))
    assert console.python() == ".venv/bin/python"
