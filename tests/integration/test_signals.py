"""The first signal saves and stops, the second stops at once, at any time of a run."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest

import train
from mt_dnn.inference import evaluate as evaluation
from mt_dnn.runs.run_dir import config_yaml
from mt_dnn.training import saving, scoring, trainer
from mt_dnn.training.checkpoint_folders import checkpoint_folders
from mt_dnn.training.signals import GracefulShutdown, StopRequested
from mt_dnn.training.trainer import Trainer
from tests.support.interrupted import assert_equal_runs, interrupted, metrics
from tests.support.runs import copy_workspace, run

pytestmark = pytest.mark.usefixtures("no_pictures")
OPTIONS: dict[str, Any] = {"train": {"max_steps": 4, "eval_every": 2, "save_every": 0}}


def signal_at(
    monkeypatch: pytest.MonkeyPatch, call: int, number: signal.Signals = signal.SIGTERM
) -> None:
    """Send a signal in the middle of the ``call``-th data set that is evaluated, counted from 1."""
    calls = 0
    original = evaluation.map_batches

    def signalled(*args: Any, **keys: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            os.kill(os.getpid(), number)
        return original(*args, **keys)

    monkeypatch.setattr(evaluation, "map_batches", signalled)


@pytest.fixture(scope="module")
def whole(config_in, tmp_path_factory) -> Trainer:
    return run(config_in(tmp_path_factory.mktemp("whole"))(name="whole", **OPTIONS))


@pytest.mark.parametrize(("call", "update"), [(1, 2), (2, 2), (5, 4)])
def test_a_signal_during_an_evaluation_acts_at_once(tiny_config, monkeypatch, whole, call, update):
    """The evaluation is abandoned, and done again when the run is resumed."""
    config = tiny_config(name="stopped", **OPTIONS)
    with monkeypatch.context() as patch:
        signal_at(patch, call)
        with pytest.raises(KeyboardInterrupt, match=rf"stopped at update {update} of 4, saved"):
            Trainer(config).fit()
    run_dir = Path(config.output_dir) / "stopped"
    state = json.loads((checkpoint_folders(run_dir)[-1] / "state.json").read_text())
    assert (state["step"], state["owes_evaluation"]) == (update, True)
    resumed = run(dataclasses.replace(config, resume=True))
    assert metrics(resumed) == metrics(whole)
    assert_equal_runs(resumed, whole)


def test_an_evaluation_that_is_owed_is_logged_once(tiny_config, monkeypatch, whole):
    """Killed after that evaluation, and resumed from the same checkpoint again."""
    config = tiny_config(name="stopped", **OPTIONS)
    with monkeypatch.context() as patch:
        signal_at(patch, 1)
        with pytest.raises(KeyboardInterrupt):
            Trainer(config).fit()
    config = dataclasses.replace(config, resume=True)
    killed = Trainer(config)
    killed.clock = 0.0
    scoring.evaluate_dev(killed)  # it is killed before its next update
    assert metrics(run(config)) == metrics(whole)


def test_a_signal_during_the_last_predictions_keeps_the_last_weights(
    tiny_config, monkeypatch, workspace, tmp_path
):
    data = copy_workspace(workspace, tmp_path / "data")
    rows = (tmp_path / "data" / "pair_dev.tsv").read_text()
    (tmp_path / "data" / "pair_test.tsv").write_text(rows)
    options = {**OPTIONS, "data": data}
    whole = run(tiny_config(name="whole", **options))
    config = tiny_config(name="stopped", **options)
    with monkeypatch.context() as patch:
        signal_at(patch, 7)  # after two evaluations of three data sets
        with pytest.raises(KeyboardInterrupt, match="stopped at update 4 of 4, saved"):
            Trainer(config).fit()
    resumed = run(dataclasses.replace(config, resume=True))
    assert_equal_runs(resumed, whole)
    for name in ("scores.json", "predictions/pair_test.jsonl", "predictions/pair.jsonl"):
        assert (resumed.run_dir / name).read_bytes() == (whole.run_dir / name).read_bytes()


def test_the_second_signal_stops_an_evaluation_without_saving(tiny_config, monkeypatch):
    config = tiny_config(name="stopped", **OPTIONS)
    with monkeypatch.context() as patch:
        save = saving.checkpoint.save_checkpoint

        def again(*args: Any, **keys: Any) -> Any:
            os.kill(os.getpid(), signal.SIGINT)
            return save(*args, **keys)

        patch.setattr(saving.checkpoint, "save_checkpoint", again)
        signal_at(patch, 1)
        with pytest.raises(KeyboardInterrupt) as stopped:
            Trainer(config).fit()
    assert not str(stopped.value)
    assert not list(Path(config.output_dir).glob("stopped/checkpoints/*"))


def test_ctrl_c_ends_the_command_with_code_130_and_says_how_to_go_on(
    tiny_config, monkeypatch, tmp_path, command
):
    """tests/integration/test_distributed.py has SIGTERM, which comes from another process."""
    path = tmp_path / "run.yml"
    path.write_text(config_yaml(tiny_config(name="stopped", **OPTIONS)))
    signal_at(monkeypatch, 1, signal.SIGINT)
    code, _, err = command(train.main, "--config", path)
    assert code == 130
    run_dir = tmp_path / "runs" / "stopped"
    resume = f"{run_dir}/config.yml --resume true"
    assert re.fullmatch(rf"stopped at update 2 of 4, saved; continue with: .* {resume}\n", err)
    assert (checkpoint_folders(run_dir)[-1] / "state.json").exists()


def test_sigterm_before_the_loop_stops_as_ctrl_c(tiny_config, monkeypatch, command):
    monkeypatch.setattr(trainer, "select_data", lambda *args: os.kill(os.getpid(), signal.SIGTERM))
    code, _, err = command(train.main, "--system.device", "cpu", "--name", "early")
    assert (code, err) == (130, "interrupted\n")


def test_a_block_is_interruptible_or_not():
    with GracefulShutdown() as shutdown:
        with shutdown.interruptible(False):
            os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(StopRequested), shutdown.interruptible():
            pytest.fail("a signal has arrived before")
    with (
        GracefulShutdown() as shutdown,
        pytest.raises(StopRequested),
        shutdown.interruptible(),
    ):
        os.kill(os.getpid(), signal.SIGTERM)


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
