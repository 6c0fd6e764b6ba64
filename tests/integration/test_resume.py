"""Interrupted and resumed equals uninterrupted, bit for bit; equal seeds give equal runs."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from data_utils.collator import Batch
from data_utils.errors import UserError
from mt_dnn.config.parser import parse_config
from mt_dnn.config.run import RunConfig
from mt_dnn.training.checkpoint import newest_checkpoint
from mt_dnn.training.signals import GracefulShutdown
from mt_dnn.training.trainer import Trainer
from tests.support.interrupted import assert_equal_runs, interrupted, metrics
from tests.support.runs import run

pytestmark = pytest.mark.usefixtures("no_pictures")

EVERYTHING: dict[str, Any] = {
    "smart": "smart",
    "mixing": {"name": "ratio", "ratio": 0.8},
    "batch": {"accumulate": 2},
    "train": {"log_every": 2},
}
"""Accumulation, both of SMART's terms, a mixture drawn anew each epoch; dropout is the default.
10 batches, hence 5 updates an epoch."""
PER_EPOCH = 5


@pytest.fixture(scope="module")
def whole(config_in, tmp_path_factory) -> Trainer:
    return run(config_in(tmp_path_factory.mktemp("whole"))(name="whole", **EVERYTHING))


@pytest.mark.parametrize(
    ("updates", "workers"),
    [(3, 0), (3, 2), (PER_EPOCH, 0), (PER_EPOCH + 1, 0)],
    ids=["mid-epoch", "workers", "epoch's end", "second epoch"],
)
def test_resumed_equals_uninterrupted(tiny_config, monkeypatch, whole, updates, workers):
    """Stopped between two log points too, so the window's sums are carried over."""
    assert whole.total_steps == 2 * PER_EPOCH
    config = tiny_config(name="stopped", **EVERYTHING, system={"workers": workers})
    interrupted(monkeypatch, config, updates)
    resumed = Trainer(dataclasses.replace(config, resume=True))
    assert resumed.step == updates
    resumed.fit()
    assert_equal_runs(resumed, whole)


def test_resumed_twice_equals_uninterrupted(tiny_config, monkeypatch, whole):
    config = tiny_config(name="stopped", **EVERYTHING)
    interrupted(monkeypatch, config, 2)
    config = dataclasses.replace(config, resume=True)
    interrupted(monkeypatch, config, 7)
    assert_equal_runs(run(config), whole)


@pytest.mark.parametrize("name", ["adamax", "radam"])
def test_the_other_optimizers_resume_too(tiny_config, monkeypatch, name):
    options: dict[str, Any] = {"optim": {"name": name}, "train": {"epochs": 1, "max_steps": 6}}
    whole = run(tiny_config(name="whole", **options))
    config = tiny_config(name="stopped", **options)
    interrupted(monkeypatch, config, 3)
    assert_equal_runs(run(dataclasses.replace(config, resume=True)), whole)


def test_a_killed_run_goes_on_from_its_last_checkpoint(tiny_config):
    """Nothing of what came after the checkpoint is left in metrics.jsonl."""
    options = {**EVERYTHING, "train": {"log_every": 2, "save_every": 4, "keep": 9}}
    whole = run(tiny_config(name="whole", **options))
    before = metrics(whole)
    checkpoints = whole.run_dir / "checkpoints"
    assert sorted(p.name for p in checkpoints.iterdir()) == [
        f"step-{step:08d}" for step in (4, 8, 10)
    ]
    for step in (8, 10):
        shutil.rmtree(checkpoints / f"step-{step:08d}")
    (checkpoints / "step-00000009.partial").mkdir()  # it was being written when the power failed
    with (whole.run_dir / "metrics.jsonl").open("a") as lines:
        lines.write('{"step": 9, "half a li')
    resumed = run(tiny_config(name="whole", resume=True, **options))
    assert_equal_runs(resumed, whole)
    assert metrics(resumed) == before


def test_resuming_a_finished_run_changes_nothing(tiny_config, whole):
    config = tiny_config(name="copy", resume=True, **EVERYTHING)
    copy = Path(config.output_dir) / "copy"
    shutil.copytree(whole.run_dir, copy)
    before = {p: p.read_bytes() for p in copy.rglob("*.safetensors")}
    assert_equal_runs(run(config), whole)
    assert {p: p.read_bytes() for p in copy.rglob("*.safetensors")} == before


def test_resuming_where_there_is_nothing_starts(tiny_config):
    options = {"train": {"max_steps": 2}}
    assert_equal_runs(
        run(tiny_config(name="new", resume=True, **options)),
        run(tiny_config(name="plain", **options)),
    )


def test_one_seed_one_result(tiny_config, whole):
    assert_equal_runs(run(tiny_config(name="again", **EVERYTHING)), whole)
    other = run(tiny_config(name="other", seed=1, **EVERYTHING))
    assert metrics(other) != metrics(whole)


def test_the_state_of_the_global_generators_does_not_matter(tiny_config, whole):
    torch.manual_seed(12345)
    torch.rand(7)
    assert_equal_runs(run(tiny_config(name="again", **EVERYTHING)), whole)


def test_the_message_of_a_stopped_run_is_a_command_that_resumes_it(tiny_config, monkeypatch):
    config = tiny_config(name="stopped", **EVERYTHING)
    message = interrupted(monkeypatch, config, 3)
    assert message.startswith("stopped at update 3 of 10, saved")
    command = shlex.split(message.partition("continue with: ")[2])
    assert command[:2] == ["mt-dnn", "train"]
    resumed = Trainer(parse_config(command[2:]))
    assert (resumed.step, resumed.total_steps) == (3, 10)


def test_what_is_said_on_resume_counts(tiny_config, monkeypatch):
    """A checkpoint's learning rate does not override the command line's."""
    config = tiny_config(name="stopped", optim={"lr": 1e-3, "warmup": 0.0})
    interrupted(monkeypatch, config, 3)
    resumed = Trainer(tiny_config(name="stopped", resume=True, optim={"lr": 0.5, "warmup": 0.0}))
    assert {group["peak_lr"] for group in resumed.optimizer.param_groups} == {0.5}


def test_a_checkpoint_of_another_optimizer_is_refused(tiny_config, monkeypatch):
    interrupted(monkeypatch, tiny_config(name="stopped"), 2)
    with pytest.raises(UserError, match=r"optim\.name"):
        Trainer(tiny_config(name="stopped", resume=True, optim={"name": "adamax"}))


def test_a_signal_leaves_the_old_handlers_in_place(tiny_config, monkeypatch):
    before = [signal.getsignal(number) for number in GracefulShutdown.SIGNALS]
    interrupted(monkeypatch, tiny_config(), 1)
    assert [signal.getsignal(number) for number in GracefulShutdown.SIGNALS] == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_ends_at_once(number):
    with GracefulShutdown() as shutdown:
        assert shutdown.signal_number is None
        os.kill(os.getpid(), number)
        assert shutdown.signal_number == number
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("log_every", [4, 50], ids=["at a log point", "before saving"])
def test_a_loss_that_is_not_finite_stops_and_leaves_a_good_checkpoint(
    tiny_config, monkeypatch, log_every
):
    options = {**EVERYTHING, "train": {"log_every": log_every, "save_every": 4, "eval_every": 50}}
    whole = run(tiny_config(name="reference", **options))
    bad = spoil_loss(tiny_config(name="bad", **options), monkeypatch, update=6)
    trainer = bad()
    with pytest.raises(UserError, match=r"update 6 .*nonfinite_batch\.json") as stopped:
        trainer.fit()
    assert trainer.step == 8  # found at the next check, before anything was saved
    assert trainer.spoiled == read(trainer.run_dir / "nonfinite_batch.json")["uids"]
    assert str(trainer.run_dir) in str(stopped.value)
    assert newest_checkpoint(trainer.run_dir).name == "step-00000004"
    monkeypatch.undo()
    resumed = run(tiny_config(name="bad", resume=True, **options))
    assert_equal_runs(resumed, whole)


def spoil_loss(
    config: RunConfig, monkeypatch: pytest.MonkeyPatch, *, update: int
) -> Callable[[], Any]:
    """A trainer whose supervised loss is NaN in the second batch of that update."""
    original = Trainer.update

    def spoiled(self: Any, batches: list[Batch]) -> None:
        if self.step + 1 == update:
            task, uids = batches[1].task, batches[1].uids
            kind, self.spoiled = self.model.task_types[task], uids
            loss = kind.loss
            kind.loss = lambda logits, batch: (
                loss(logits, batch) * (float("nan") if batch.uids == uids else 1.0)
            )
        original(self, batches)

    monkeypatch.setattr(Trainer, "update", spoiled)
    return lambda: Trainer(config)


def read(path: Path) -> Any:
    return json.loads(path.read_text())
