"""A run is resumed from its newest intact checkpoint, and never from another run's."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from data_utils.errors import UserError
from mt_dnn.training.checkpoint_folders import checkpoint_folders
from mt_dnn.training.trainer import Trainer
from tests.support.interrupted import assert_equal_runs, metrics
from tests.support.runs import run

pytestmark = pytest.mark.usefixtures("no_pictures")

CHECKPOINTS: dict[str, Any] = {
    "train": {"max_steps": 6, "save_every": 2, "keep": 3, "eval_every": 6}
}


@pytest.fixture(scope="module")
def with_checkpoints(config_in, tmp_path_factory) -> Trainer:
    """A run with three checkpoints; to be copied."""
    return run(config_in(tmp_path_factory.mktemp("checkpoints"))(name="whole", **CHECKPOINTS))


@pytest.mark.parametrize(
    "damage", ["flip", "cut", "gone", "state", "state altered", "half deleted"]
)
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_resumed(
    tiny_config, capsys, with_checkpoints, damage
):
    whole = with_checkpoints
    config = tiny_config(name="whole", resume=True, **CHECKPOINTS)
    run_dir = Path(config.output_dir) / "whole"
    shutil.copytree(whole.run_dir, run_dir)
    newest = checkpoint_folders(run_dir)[-1]
    path = newest / "optimizer.safetensors"
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[-7] ^= 1
        path.write_bytes(data)
    elif damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "gone":
        path.unlink()
    elif damage == "state":
        path = newest / "state.json"
        path.write_text(path.read_text()[:50])
    elif damage == "state altered":  # of the same size, and still JSON
        path = newest / "state.json"
        path.write_text(path.read_text().replace('"loader"', '"loaded"'))
    else:
        shutil.rmtree(newest)
        newest.mkdir()
        path = newest
    capsys.readouterr()
    resumed = Trainer(config)
    assert resumed.step == 4
    assert checkpoint_folders(run_dir)[-1].name == "step-00000004"
    assert re.search(
        rf"skipped: .*{path.name if damage != 'gone' else newest.name}", capsys.readouterr().out
    )
    resumed.fit()
    assert_equal_runs(resumed, whole)
    assert metrics(resumed) == metrics(whole)


def test_where_every_checkpoint_is_damaged_the_run_is_refused(tiny_config):
    options: dict[str, Any] = {"train": {"max_steps": 2}}
    whole = run(tiny_config(name="whole", **options))
    path = checkpoint_folders(whole.run_dir)[-1] / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=rf"no checkpoint can be resumed:\n  {path} is damaged"):
        Trainer(tiny_config(name="whole", resume=True, **options))


def test_checkpoints_of_another_run_are_not_resumed(tiny_config):
    options: dict[str, Any] = {"train": {"max_steps": 2}}
    first, other = (run(tiny_config(name=name, **options)) for name in ("first", "other"))
    shutil.rmtree(first.run_dir / "checkpoints")
    shutil.copytree(other.run_dir / "checkpoints", first.run_dir / "checkpoints")
    with pytest.raises(UserError, match="belongs to another run"):
        Trainer(tiny_config(name="first", resume=True, **options))
    assert checkpoint_folders(first.run_dir) == []


def test_a_marker_removed_by_hand_does_not_bring_the_old_run_back(tiny_config):
    options: dict[str, Any] = {"train": {"max_steps": 2}}
    first = run(tiny_config(name="first", **options))
    (first.run_dir / "config.yml").unlink()
    with pytest.raises(UserError, match="holds a run already"):
        Trainer(tiny_config(name="first", **options))
    (first.run_dir / "run.json").unlink()
    for how in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(UserError, match=r"contains tasks\.yml.*but no run"):
            Trainer(tiny_config(name="first", **options, **how))
    assert (first.run_dir / "best" / "model.safetensors").exists()
