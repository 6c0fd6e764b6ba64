"""A run with other trackers than TensorBoard."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from data_utils.errors import UserError
from mt_dnn.config.run_format import EVENTS, EVENTS_SUFFIX
from mt_dnn.registries import TRACKERS
from mt_dnn.tracking.tracker import Tracker
from mt_dnn.training.trainer import Trainer
from tests.support.runs import lines, run

pytestmark = pytest.mark.usefixtures("no_pictures")

STEPS: dict[str, Any] = {"max_steps": 4, "eval_every": 2, "save_every": 2, "keep": 2}
calls: list[tuple[str, Any]] = []


class Recorder(Tracker):
    """Remembers the calls."""

    takes_images = True

    def __init__(self, run_dir, *, prefix=""):
        super().__init__(run_dir)
        self.prefix = prefix
        calls.clear()

    def start(self, config):
        calls.append(("start", config))

    def scalars(self, step, values):
        calls.append((f"{self.prefix}scalars", step))

    def timings(self, step, values):
        calls.append(("timings", step))

    def images(self, step, figures):
        calls.append(("images", tuple(figures)))

    def text(self, tag, markdown):
        calls.append(("text", tag))

    def hparams(self, config):
        calls.append(("hparams", config))

    def truncate_after(self, update):
        calls.append(("truncate_after", update))

    def close(self):
        calls.append(("close", None))


@pytest.fixture
def recorder(monkeypatch):
    monkeypatch.setitem(TRACKERS._places, "recorder", f"{__name__}:Recorder")


def test_without_trackers_metrics_jsonl_is_the_same_and_alone(tiny_config, capsys):
    with_board = run(tiny_config(name="board", train=STEPS))
    assert "watch the curves" in capsys.readouterr().out
    alone = run(tiny_config(name="alone", trackers=(), train=STEPS))
    printed = capsys.readouterr().out
    assert "watch the curves" not in printed
    assert "predict your own rows" in printed
    one, other = (r.run_dir / "metrics.jsonl" for r in (with_board, alone))
    assert one.read_bytes() == other.read_bytes()
    assert [path.suffix for path in with_board.run_dir.glob(EVENTS)] == [EVENTS_SUFFIX]
    assert not list(alone.run_dir.glob(EVENTS))


def test_the_gradient_norm_of_an_update_belongs_to_its_task(tiny_config):
    trainer = run(tiny_config(trackers=(), train={"max_steps": 4}))
    trained = [line for line in lines(trainer) if "train/lr" in line]
    assert len(trained) == 4
    for line in trained:
        norms = [
            line[tag]
            for task in ("pair", "score", "pick")
            if (tag := f"train/{task}/grad_norm") in line
        ]
        assert norms == [line["train/grad_norm"]]


def test_a_registered_tracker_receives_the_run_and_its_continuation(tiny_config, recorder):
    def config_of(**settings):
        config = tiny_config(trackers=("recorder",), **settings)
        return dataclasses.replace(config, tracker_options={"recorder": {"prefix": "my "}})

    run(config_of(train=STEPS))
    names = [name for name, _ in calls]
    assert names[:4] == ["start", "text", "text", "hparams"]
    assert names[-1] == "close"
    assert {"my scalars", "timings", "images"} <= set(names)
    config, hparams = calls[0][1], calls[3][1]
    assert config["train.max_steps"] == hparams["train.max_steps"] == 4
    assert (config["name"], config["trackers"]) == ("run", ("recorder",))
    assert not {"name", "trackers"} & set(hparams)
    assert not [name for name in config if name.startswith("tracker_options")]

    run(config_of(resume=True, train=STEPS | {"max_steps": 6}))
    assert [name for name, _ in calls][:2] == ["truncate_after", "start"]
    assert calls[0][1] == 4
    assert [step for name, step in calls if name == "timings"] == [5, 6]


def test_a_wrong_tracker_stops_before_the_data_is_prepared(tiny_config, monkeypatch):
    monkeypatch.setattr("mt_dnn.training.trainer.select_data", lambda *_: pytest.fail("too late"))
    with pytest.raises(UserError, match="Did you mean 'tensorboard'"):
        Trainer(tiny_config(trackers=("tensorbord",)))
