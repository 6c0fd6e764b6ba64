"""Interrupted and resumed equals uninterrupted, bit for bit; equal seeds give equal runs."""

from __future__ import annotations

import dataclasses
import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from data_utils.collator import Batch
from data_utils.errors import UserError
from mt_dnn.config.parser import parse_config
from mt_dnn.config.run import RunConfig
from mt_dnn.training.checkpoint_folders import checkpoint_folders
from mt_dnn.training.trainer import Trainer
from tests.support.interrupted import assert_equal_runs, interrupted, metrics
from tests.support.runs import copy_workspace, run

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


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "rate": ({"optim": {"lr": 0.5}}, r"optim\.lr: 0\.001 in the run, 0\.5 now"),
    "seed": ({"seed": 1}, r"seed: 2018 in the run, 1 now"),
    "dropout": ({"model": {"dropout": 0.5}}, r"model\.dropout: 0\.1 in the run, 0\.5 now"),
    "preset": ({"smart": "off"}, r"smoothness\.weight: [\d.]+ in the run, 0\.0 now"),
    "order": ({"data": {"use": ("pick", "score", "pair")}}, "tasks: pair, score, pick in the run"),
    "rule": ({"optim": {"name": "adamax"}}, r'optim\.name: "adamw" in the run, "adamax" now'),
    "shorter": ({"train": {"epochs": 1}}, r"train\.epochs: 2 in the run, 1 now \(a run may only"),
    "length": ({"data": {"max_seq_len": 32}}, r"data\.max_seq_len: 64 in the run, 32 now"),
    "encoder": (
        {"model": {"encoder": "other/still"}},
        r'model\.encoder: "tiny" in the run, "still"',
    ),
}


@pytest.fixture(scope="module")
def stopped(config_in, tmp_path_factory) -> Path:
    """The folder of a run with SMART that was stopped after 3 updates; to be copied."""
    config = config_in(tmp_path_factory.mktemp("stopped"))(name="stopped", smart="smart")
    with pytest.MonkeyPatch.context() as patch:
        interrupted(patch, config, 3)
    return Path(config.output_dir) / "stopped"


@pytest.mark.parametrize("change", REFUSED)
def test_a_run_that_has_changed_is_refused_before_anything_is_written(
    tiny_config, stopped, change, still_encoder_folder, tmp_path
):
    config = tiny_config(name="stopped", smart="smart")
    changed, message = REFUSED[change]
    if change == "encoder":
        changed = {"model": {"encoder": str(still_encoder_folder)}}
    new_store = {"store_dir": str(tmp_path / "store")}
    changed = {**changed, "data": {**changed.get("data", {}), **new_store}}
    run_dir = Path(config.output_dir) / "stopped"
    shutil.copytree(stopped, run_dir)
    before = {path: path.read_bytes() for path in run_dir.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match=message) as refused:
        Trainer(tiny_config(name="stopped", resume=True, **{"smart": "smart"} | changed))
    assert "step-00000003 cannot be continued with these settings" in str(refused.value)
    assert "start another run" in str(refused.value)
    after = {path: path.read_bytes() for path in run_dir.rglob("*") if path.is_file()}
    assert after == before
    assert not (tmp_path / "store").exists()  # no row was tokenized for it
    assert Trainer(dataclasses.replace(config, resume=True)).step == 3


def test_rows_that_have_changed_are_refused(tiny_config, monkeypatch, workspace, tmp_path):
    data = copy_workspace(workspace, tmp_path / "data")
    config = tiny_config(name="stopped", data={**data, "on_stale": "rebuild"})
    interrupted(monkeypatch, config, 3)
    with (tmp_path / "data" / "pair_train.tsv").open("a") as rows:
        rows.write("more\tsame\ta\tb\n")
    with pytest.raises(UserError, match="data set 'pair_train' has changed rows"):
        Trainer(dataclasses.replace(config, resume=True))


def test_what_may_change_changes(tiny_config, monkeypatch, workspace, tmp_path):
    """Paths, logging, devices, trackers and what is kept."""
    interrupted(monkeypatch, tiny_config(name="stopped"), 3)
    data = copy_workspace(workspace, tmp_path / "data")
    changed = {"train": {"log_every": 5, "keep": 3, "save_every": 2, "predictions": False}}
    config = tiny_config(name="stopped", resume=True, trackers=(), data=data, **changed)
    assert Trainer(config).step == 3


def test_a_run_becomes_longer_and_says_what_becomes_of_its_schedule(tiny_config, capsys):
    run(tiny_config(name="a"))
    capsys.readouterr()
    longer = Trainer(tiny_config(name="a", resume=True, train={"epochs": 4}))
    assert (longer.step, longer.total_steps) == (26, 52)
    out = capsys.readouterr().out
    assert "52 updates instead of 26: at update 26 the learning rate is 0.553 of its peak" in out
    assert not (longer.run_dir / "scores.json").exists()
    longer.fit()
    assert (longer.run_dir / "scores.json").exists()


def test_what_a_killed_run_wrote_before_its_first_checkpoint_is_gone(tiny_config, monkeypatch):
    options: dict[str, Any] = {"train": {"max_steps": 6, "eval_every": 2, "save_every": 6}}
    whole = run(tiny_config(name="whole", **options))
    killed = Trainer(tiny_config(name="killed", **options))
    update = Trainer.update

    def die(self: Trainer, batches: list[Batch]) -> None:
        if self.step == 4:
            raise RuntimeError("kill -9")
        update(self, batches)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "update", die)
        with pytest.raises(RuntimeError, match="kill -9"):
            killed.fit()
    assert len(metrics(killed)) > 0
    resumed = run(tiny_config(name="killed", resume=True, **options))
    assert metrics(resumed) == metrics(whole)
    assert_equal_runs(resumed, whole)


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
    assert checkpoint_folders(trainer.run_dir)[-1].name == "step-00000004"
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
