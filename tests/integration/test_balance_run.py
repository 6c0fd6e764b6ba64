"""Whole runs: rho is measured, its weight follows and resumes, a weak term is announced."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor

from mt_dnn.training.trainer import Trainer
from tests.support.interrupted import assert_equal_runs, interrupted
from tests.support.runs import assert_same_weights, lines, logged, run

pytestmark = pytest.mark.usefixtures("no_pictures")

TASKS = ("pair", "score", "pick")


def test_each_task_is_measured_after_warmup_and_every_so_often(tiny_config):
    """26 updates, 3 of warmup: intervals begin at updates 4, 12 and 20."""
    trainer = run(tiny_config(smart="smart", smoothness={"balance_every": 8}))
    assert trainer.total_steps == 26
    for task in TASKS:
        own = list(logged(trainer, f"train/{task}/loss"))
        first = [next((n for n in own if a <= n < a + 8), None) for a in (4, 12, 20)]
        for figure in ("rho", "rho_proximal"):
            assert list(logged(trainer, f"smart/{task}/{figure}")) == [n for n in first if n]


def test_measuring_changes_nothing_else(tiny_config):
    often, never = (
        run(tiny_config(name=f"n{every}", smart="smart", smoothness={"balance_every": every}))
        for every in (1, 10**9)
    )
    assert_same_weights(often.model.state_dict(), never.model.state_dict())

    def rest(trainer: Trainer) -> list[dict[str, float]]:
        return [{k: v for k, v in line.items() if "/rho" not in k} for line in lines(trainer)]

    assert rest(often) == rest(never)
    assert lines(often) != lines(never)


def test_without_smart_nothing_is_measured(tiny_config, capsys):
    trainer = run(tiny_config(train={"max_steps": 4}))
    assert not any("smart/" in tag for line in lines(trainer) for tag in line)
    assert "SMART:" not in capsys.readouterr().out


def test_a_balanced_run_resumes_bit_for_bit(tiny_config, monkeypatch):
    options = {
        "smart": "smart",
        "smoothness": {"balance": 1e-3, "balance_every": 3, "epsilon": 1e-2, "step_size": 1.0},
        "proximal": {"horizon": 0.2},
        "batch": {"accumulate": 2},
    }
    whole = run(tiny_config(name="whole", **options))
    factors = whole.objective.terms_state()["smoothness.balance.factors"]
    assert (factors != 1).all()
    config = tiny_config(name="stopped", **options)
    for stop in (5, 9):
        interrupted(monkeypatch, config, stop)
        config = dataclasses.replace(config, resume=True)
    assert_equal_runs(run(config), whole)


def test_a_term_that_cannot_act_is_announced_once_and_in_the_summary(tiny_config, capsys):
    run(tiny_config(smart="smart", train={"log_every": 26}))
    out = capsys.readouterr().out
    (line,) = (line for line in out.splitlines() if "cannot act" in line)
    assert all(f"{task} rho " in line for task in TASKS)
    assert "smoothness.epsilon 0." in line
    summary = next(line for line in out.splitlines() if line.startswith("SMART: gain"))
    assert "rho: " in summary
    assert "rho_proximal: " in summary


def test_an_update_that_fp16_skips_moves_neither_teacher_nor_gradient_norm(
    tiny_config, monkeypatch
):
    """The scaler's verdict is replaced: the third update is skipped."""
    trainer = Trainer(tiny_config(smart="smart", proximal={"beta": 0.5}))
    step = trainer.optimizer.step
    monkeypatch.setattr(
        Accelerator, "optimizer_step_was_skipped", property(lambda _: trainer.step == 3)
    )
    monkeypatch.setattr(trainer.optimizer, "step", lambda: None if trainer.step == 2 else step())
    seen: list[tuple[int, int]] = []
    after = trainer.objective.after_update

    def after_update(update: int, total: int) -> None:
        seen.append((update, total))
        after(update, total)

    monkeypatch.setattr(trainer.objective, "after_update", after_update)

    def teacher() -> dict[str, Tensor]:
        return {name: t.clone() for name, t in trainer.objective.terms_state().items()}

    updates, states = trainer.updates(), []
    for _ in range(4):
        trainer.update(next(updates))
        states.append(teacher())
    assert trainer.step == 4
    assert [update for update, _ in seen] == [1, 2, 3]
    same = [
        all(torch.equal(one[name], other[name]) for name in one) for one, other in pairwise(states)
    ]
    assert same == [False, True, False]
    assert trainer.meters.weights["train/grad_norm"] == 3


def test_annealed_mixing_follows_the_run_that_max_steps_leaves(tiny_config):
    """Ten epochs of which two happen: the second is the last, as in a run of two epochs."""
    mixing = {"name": "annealed"}
    cut, short = (
        Trainer(tiny_config(name=str(n), mixing=mixing, train={"epochs": n, "max_steps": limit}))
        for n, limit in ((10, 20), (2, None))
    )
    assert cut.loader.sampler.epochs == 2
    for epoch in (0, 1):
        assert cut.loader.sampler.counts(epoch) == short.loader.sampler.counts(epoch)
