"""What a run says of itself before it starts."""

from __future__ import annotations

import sys

import pytest

from mt_dnn.config.bounds import resolve_config
from mt_dnn.config.run import RunConfig
from mt_dnn.config.smart import ProximalConfig, SmoothnessConfig
from mt_dnn.tracking import console
from mt_dnn.training.report import idle_teacher, slow_teacher, weak_terms


@pytest.mark.parametrize(
    ("smart", "proximal", "total", "warns"),
    [
        ("smart", {}, 252, True),  # 0.999 averages over 1000 updates
        ("smart", {}, 5000, False),
        ("smart", {"beta_late": 0.95}, 252, False),
        ("smart", {"weight": 0.0}, 252, False),
        ("smart", {"teacher": "vbpp"}, 252, False),
        ("smart", {"horizon": 0.02}, 252, False),
        ("off", {}, 252, False),
    ],
)
def test_a_teacher_slower_than_the_run_is_told(smart, proximal, total, warns):
    config = resolve_config(RunConfig(smart=smart, proximal=ProximalConfig(**proximal)))
    notice = slow_teacher(config, total)
    assert (notice is not None) == warns
    if notice is not None:
        assert "1000 updates, but the run has only 252" in notice
        assert "proximal.horizon to 0.02," in notice  # 5 updates


def test_the_advised_horizon_is_a_hundredth_of_a_longer_run():
    config = resolve_config(RunConfig(smart="smart"))
    assert "proximal.horizon to 0.01," in str(slow_teacher(config, 930))
    assert "proximal.horizon to 1," in str(slow_teacher(config, 3))


@pytest.mark.parametrize(
    ("proximal", "warns"),
    [
        ({}, False),
        ({"teacher": "vbpp"}, True),
        ({"teacher": "vbpp", "dropout": "independent"}, False),
        ({"teacher": "vbpp", "steps": 2}, False),
        ({"teacher": "vbpp", "weight": 0.0}, False),
        ({"horizon": 0.01}, True),  # of 100 updates: one
        ({"horizon": 0.02}, False),
    ],
)
def test_a_teacher_that_is_always_the_student_is_announced(proximal, warns):
    config = resolve_config(RunConfig(smart="smart", proximal=ProximalConfig(**proximal)))
    assert (idle_teacher(config, 100) is not None) == warns


def first(
    rho: float | None = None, rho_proximal: float | None = None
) -> dict[str, dict[str, float]]:
    found = {"rho": rho, "rho_proximal": rho_proximal}
    return {name: {} if value is None else {"a": value} for name, value in found.items()}


@pytest.mark.parametrize(
    ("smoothness", "rho", "advice"),
    [
        ({}, 1e-3, None),
        ({}, 9e-4, "epsilon 0.00011"),
        ({}, 1e-5, "epsilon 0.001,"),  # 1e-5 * sqrt(0.1 / 1e-5)
        ({"detach": "clean"}, 1e-4, "epsilon 0.01,"),  # the gradient is linear in the radius
        ({"dropout": "independent"}, 1e-4, "weight 1e+03 "),
        ({}, 0.0, "no gradient at all"),
        ({"balance": 0.5}, 0.006, None),  # within the factor of 100
        ({"balance": 0.5}, 0.004, "epsilon 5e-05"),
    ],
)
def test_a_weak_smoothness_term_names_what_would_reach_a_tenth(smoothness, rho, advice):
    config = RunConfig(smart="smart", smoothness=SmoothnessConfig(**smoothness))
    line = weak_terms(resolve_config(config), first(rho))
    assert (line is None) == (advice is None)
    if line is not None and advice is not None:
        assert line.count("\n") == 0
        assert f"R_s (a rho {rho:.2g}): " in line
        assert advice in line


def test_a_weak_proximal_term_names_its_weight_and_nothing_measured_is_silent():
    config = resolve_config(RunConfig(smart="smart"))
    assert weak_terms(config, first()) is None
    line = weak_terms(config, first(rho_proximal=5e-4))
    assert line is not None
    assert "D_Breg (a rho 0.0005): proximal.weight 2e+02 would reach" in line


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
