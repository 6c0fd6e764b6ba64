"""The trackers of a run: by name and of one's own, together."""

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from data_utils.errors import UserError
from mt_dnn.registries import TRACKERS
from mt_dnn.tracking.jsonl import JsonLines
from mt_dnn.tracking.prediction_plots import scatter_figure
from mt_dnn.tracking.tracker import Tracker
from mt_dnn.tracking.trackers import Trackers, build_tracker


class Recorder(Tracker):
    """Remembers the calls."""

    def __init__(self, run_dir, *, broken=False):
        super().__init__(run_dir)
        self.broken = broken
        self.calls = []

    def start(self, config):
        self.calls.append(("start", config))

    def scalars(self, step, values):
        self.calls.append((step, values))

    def images(self, step, figures):
        raise AssertionError("takes_images is False")

    def close(self):
        self.calls.append(("close",))
        if self.broken:
            raise OSError("disk full")


def test_metrics_jsonl_is_always_written_and_once(tmp_path):
    for trackers in ([], ["jsonl"], ["jsonl", "jsonl"]):
        folder = tmp_path / str(len(trackers))
        with Trackers(folder, trackers) as tracker:
            tracker.scalars(1, {"a": 1.0})
            assert not tracker.takes_images
        assert (folder / "metrics.jsonl").read_text() == '{"step": 1, "a": 1.0}\n'
        assert [path.name for path in folder.iterdir()] == ["metrics.jsonl"]


def test_trackers_of_ones_own_stand_beside_names(tmp_path):
    own = Recorder(tmp_path)
    with Trackers(tmp_path, [own, "tensorboard"]) as tracker:
        tracker.start({"seed": 1})
        tracker.scalars(2, {"a": [1, 2]})
        tracker.images(2, {"scatter/x": scatter_figure([1.0], [1.0])})
        assert tracker.takes_images  # TensorBoard
    assert own.calls == [("start", {"seed": 1}), (2, {"a": [1, 2]}), ("close",)]
    board = EventAccumulator(str(tmp_path))
    board.Reload()
    assert board.Tags()["images"] == ["scatter/x"]


def test_every_tracker_is_closed_if_one_fails(tmp_path):
    first, second = Recorder(tmp_path, broken=True), Recorder(tmp_path)
    tracker = Trackers(tmp_path, [first, second])
    with pytest.raises(OSError, match="disk full"):
        tracker.close()
    assert second.calls == [("close",)]


def test_trackers_forwards_every_method(tmp_path):
    methods = {name for name, value in vars(Tracker).items() if callable(value)}
    assert methods - set(vars(Trackers)) == {"__enter__", "__exit__"}


def test_a_wrong_name_or_option_is_an_error_with_the_choices(tmp_path):
    with pytest.raises(UserError, match=r"trackers: unknown tracker 'wanbd'.*Did you mean 'wandb'"):
        Trackers(tmp_path, ["wanbd"])
    # also in processes that do not log, and where the tracker is not used
    with pytest.raises(
        UserError,
        match=r"tracker_options: unknown tracker 'tensorbord'.*Did you mean 'tensorboard'",
    ):
        Trackers(tmp_path, [], {"tensorbord": {}}, enabled=False)
    with pytest.raises(
        UserError, match=r"tracker_options: tensorboard has no option 'flush'.*no options"
    ):
        Trackers(tmp_path, ["tensorboard"], {"tensorboard": {"flush": 1}})
    Trackers(tmp_path, [], {"tensorboard": {"flush": 1}})


def test_a_tracker_is_registered_under_a_name(tmp_path):
    with pytest.raises(TypeError, match="no subclass of Tracker"):
        TRACKERS.register("shout")(print)
    assert "shout" not in TRACKERS


def test_every_name_has_a_class(tmp_path, monkeypatch):
    monkeypatch.setattr("mt_dnn.tracking.accelerate_tracker._installed", lambda module: True)
    found = {name: build_tracker(name, tmp_path, {}) for name in TRACKERS.names()}
    assert type(found["jsonl"]) is JsonLines
    assert all(getattr(tracker, "backend", name) == name for name, tracker in found.items())
