"""Checkpoints: exact, whole or absent, the newest kept, refused where they do not fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from data_utils.errors import UserError
from mt_dnn.runs.model_folder import read_step
from mt_dnn.training import checkpoint
from mt_dnn.training.best_folders import has_best, keep_best_as, restore_best
from mt_dnn.training.checkpoint import load_checkpoint, save_checkpoint
from mt_dnn.training.checkpoint_folders import checkpoint_folders

OPTIMIZERS = {
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.1, fused=True),
    "adamax": lambda p: torch.optim.Adamax(p, lr=0.1, foreach=True),
    "radam": lambda p: torch.optim.RAdam(p, lr=0.1, foreach=True),
}


class Tied(nn.Module):
    """Two names for one matrix, as encoders have, and a parameter that is never used."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.unused = nn.Parameter(torch.ones(3))

    def forward(self, x):
        return self.second(self.first(x).tanh())


def make(name: str = "adamw", seed: int = 0) -> tuple[Tied, torch.optim.Optimizer]:
    torch.manual_seed(seed)
    model = Tied()
    groups = [
        {"params": [model.first.weight, model.unused], "peak_lr": 0.1},
        {"params": [model.first.bias, model.second.bias], "peak_lr": 0.2},
    ]
    return model, OPTIMIZERS[name](groups)


def train(model: Tied, optimizer: torch.optim.Optimizer, steps: int) -> None:
    for step in range(steps):
        inputs = torch.randn(5, 4, generator=torch.Generator().manual_seed(step))
        model(inputs).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()


def save(run_dir, model, optimizer, step=7, *, keep=1, terms=None, **state):
    return save_checkpoint(
        run_dir,
        step=step,
        model=model,
        optimizer=optimizer,
        state=state,
        terms=terms or {},
        keep=keep,
    )


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_goes_on_to_the_last_bit(tmp_path, name):
    model, optimizer = make(name)
    train(model, optimizer, 3)
    folder = save(tmp_path, model, optimizer, best={"average": 1.5})
    other, other_optimizer = make(name, seed=1)
    state, terms = load_checkpoint(folder, model=other, optimizer=other_optimizer)
    assert (state["step"], state["best"]) == (7, {"average": 1.5})
    assert terms == {}
    train(model, optimizer, 3)
    train(other, other_optimizer, 3)
    for (key, own), theirs in zip(
        model.state_dict().items(), other.state_dict().values(), strict=True
    ):
        assert torch.equal(own, theirs), key
    assert other.second.weight is other.first.weight


def test_no_pickle_and_nothing_left_aside(tmp_path):
    model, optimizer = make()
    train(model, optimizer, 1)
    folder = save(tmp_path, model, optimizer, terms={"a.x": torch.ones(2, 3).T})
    assert {path.name for path in folder.iterdir()} == {
        "model.safetensors",
        "optimizer.safetensors",
        "terms.safetensors",
        "state.json",
        "checksums.json",
    }
    assert [path.name for path in folder.parent.iterdir()] == ["step-00000007"]
    _, terms = load_checkpoint(folder, model=model, optimizer=optimizer)
    assert torch.equal(terms["a.x"], torch.ones(3, 2))


def test_the_teacher_of_an_older_format_is_the_proximal_terms_state(tmp_path):
    model, optimizer = make()
    folder = save(tmp_path, model, optimizer)
    save_file({"first.bias": torch.ones(4)}, folder / "teacher.safetensors")
    _, terms = load_checkpoint(folder, model=model, optimizer=optimizer)
    assert terms.keys() == {"proximal.first.bias"}
    assert torch.equal(terms["proximal.first.bias"], torch.ones(4))


def test_the_newest_are_kept(tmp_path):
    model, optimizer = make()
    for step in (5, 10, 100, 15):
        save(tmp_path, model, optimizer, step, keep=2)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        "step-00000015",
        "step-00000100",
    ]


def test_an_interrupted_write_is_no_checkpoint(tmp_path, monkeypatch):
    model, optimizer = make()
    assert checkpoint_folders(tmp_path) == []
    whole = save(tmp_path, model, optimizer, 1)

    def fail(*_):
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_file", fail)
        with pytest.raises(OSError, match="disk full"):
            save(tmp_path, model, optimizer, 2)
    assert checkpoint_folders(tmp_path)[-1] == whole
    assert checkpoint_folders(tmp_path)[-1] == save(tmp_path, model, optimizer, 1)  # over itself
    assert save(tmp_path, model, optimizer, 2).name == "step-00000002"


def test_rates_are_those_of_the_new_optimizer(tmp_path):
    """A checkpoint does not override what the user says now."""
    model, optimizer = make()
    train(model, optimizer, 2)
    folder = save(tmp_path, model, optimizer)
    for group in optimizer.param_groups:
        group["peak_lr"], group["weight_decay"] = 5.0, 0.5
    load_checkpoint(folder, model=model, optimizer=optimizer)
    assert [(g["peak_lr"], g["weight_decay"]) for g in optimizer.param_groups] == [(5.0, 0.5)] * 2


def test_another_model_is_refused(tmp_path):
    model, optimizer = make()
    folder = save(tmp_path, model, optimizer)
    model.unused = nn.Parameter(torch.ones(4))
    with pytest.raises(UserError, match="does not fit this run's model"):
        load_checkpoint(folder, model=model, optimizer=optimizer)


def test_another_update_rule_is_refused(tmp_path):
    model, optimizer = make("adamw")
    train(model, optimizer, 1)
    folder = save(tmp_path, model, optimizer)
    with pytest.raises(UserError, match=r"AdamW.*optim\.name"):
        load_checkpoint(folder, model=model, optimizer=OPTIMIZERS["adamax"](model.parameters()))


def test_other_groups_are_refused(tmp_path):
    model, optimizer = make()
    folder = save(tmp_path, model, optimizer)
    regrouped = OPTIMIZERS["adamw"](model.parameters())
    with pytest.raises(UserError, match="other parameter groups"):
        load_checkpoint(folder, model=model, optimizer=regrouped)


def test_state_is_json(tmp_path):
    model, optimizer = make()
    folder = save(tmp_path, model, optimizer, loader={"epoch": 1})
    assert json.loads((folder / "state.json").read_text())["loader"] == {"epoch": 1}


def write_best(folder: Path, step: int) -> None:
    folder.mkdir(parents=True)
    (folder / "mt_dnn.json").write_text(json.dumps({"format": 3, "step": step}))


@pytest.mark.parametrize("kept", ["checkpoints/best", "best.partial", "best"])
def test_the_best_model_that_a_checkpoint_names_is_put_back(tmp_path, kept):
    """Killed before the next checkpoint; between two renames; before ``best/`` was replaced."""
    if kept != "best":
        write_best(tmp_path / "best", 8)
    write_best(tmp_path / kept, 4)
    assert has_best(tmp_path, 4)
    restore_best(tmp_path, 4)
    assert read_step(tmp_path / "best") == 4
    assert not (tmp_path / "best.partial").exists()
    assert not (tmp_path / "checkpoints" / "best").exists()
    assert keep_best_as(tmp_path, 4) == tmp_path / "checkpoints" / "best"
    assert keep_best_as(tmp_path, 3) is None
    assert not has_best(tmp_path, 8)
