"""Runs with a loss term of one's own: trained, clipped, logged, saved and resumed."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from mt_dnn.objective import objective as objective_module
from mt_dnn.objective.step import Step
from mt_dnn.objective.supervised import SupervisedTerm
from mt_dnn.objective.terms import LossTerm
from tests.support.interrupted import assert_equal_runs, interrupted
from tests.support.runs import lines, logged, run

pytestmark = pytest.mark.usefixtures("no_pictures")

OPTIONS: dict[str, Any] = {
    "smart": "smart",
    "batch": {"accumulate": 2},
    "optim": {"head_lr": 0.01},
    "train": {"log_every": 2, "epochs": 1},
}


class Probe(LossTerm):
    """A learnt vector that follows the mean hidden state, with a learnt weight and a counter."""

    tag = "probe"

    def __init__(self) -> None:
        super().__init__()
        self.center = nn.Parameter(torch.zeros(32))
        self.s = nn.Parameter(torch.zeros(()))
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def compute(self, step: Step) -> Tensor:
        step.note("center", self.center.norm())
        noise = torch.rand(32, generator=step.generator())
        return (step.hidden.mean((0, 1)) - self.center + noise).square().sum() + self.s.exp()

    def weight(self, step: Step) -> Tensor:
        return (-self.s).exp() * (1 + step.progress)

    def after_update(self, update: int, total: int) -> None:
        self.updates += 1


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> None:
    build = objective_module.build_terms
    monkeypatch.setattr(
        objective_module, "build_terms", lambda model, config: [*build(model, config), Probe()]
    )


@pytest.mark.usefixtures("probed")
def test_a_learnt_term_is_trained_saved_and_resumed(tiny_config, monkeypatch):
    whole = run(tiny_config(name="whole", **OPTIONS))
    config = tiny_config(name="stopped", **OPTIONS)
    interrupted(monkeypatch, config, 3)
    folder = whole.run_dir.parent / "stopped" / "checkpoints" / "step-00000003"
    saved = load_file(folder / "terms.safetensors")
    own = {name for name in saved if not name.startswith("proximal.")}
    assert own == {"probe.center", "probe.s", "probe.updates"}
    assert len(saved) == 3 + len(list(whole.model.named_parameters()))
    assert saved["probe.updates"] == 3
    assert saved["probe.center"].any()
    assert saved["probe.s"] != 0
    assert_equal_runs(run(dataclasses.replace(config, resume=True)), whole)
    (probe,) = (term for term in whole.objective.terms if term.tag == "probe")
    assert {id(p) for p in probe.parameters()} < {id(p) for p in whole.parameters}
    tags = {tag for line in lines(whole) for tag in line}
    for task in whole.model.tasks:
        assert {f"train/{task}/probe", f"probe/{task}/center"} < tags


@pytest.mark.usefixtures("probed")
def test_the_gradient_of_a_term_counts_when_it_is_clipped(tiny_config, monkeypatch):
    clipped = tiny_config(
        name="clipped",
        optim={"clip_norm": 1e-3},
        train={"log_every": 1, "max_steps": 1},
    )
    trainer = run(clipped)
    (probe,) = (term for term in trainer.objective.terms if term.tag == "probe")
    state = trainer.optimizer.state_dict()["state"]
    # Adam's first moment after one update is (1 - beta_1) times the clipped gradient.
    moments = [entry["exp_avg"] for entry in state.values()]
    norm = torch.linalg.vector_norm(torch.stack([m.norm() for m in moments])) / (1 - 0.9)
    torch.testing.assert_close(norm, torch.tensor(1e-3), rtol=1e-3, atol=0)
    assert len(moments) > len(list(probe.parameters()))
    assert logged(trainer, "train/grad_norm")[1] > 1


def test_a_task_without_a_supervised_loss_is_trained_and_logged(tiny_config, monkeypatch):
    """Its weight is 0, so that no ``train/<task>/loss`` exists."""

    def terms(model, config):
        (first, *_) = model.tasks
        return [SupervisedTerm().weighted(1.0, {first: 0.0}), Probe()]

    monkeypatch.setattr(objective_module, "build_terms", terms)
    trainer = run(tiny_config(train={"epochs": 1, "log_every": 1}))
    first, second, *_ = trainer.model.tasks
    assert not logged(trainer, f"train/{first}/loss")
    assert logged(trainer, f"train/{first}/probe")
    assert logged(trainer, f"train/{second}/loss")
