"""The adapter to accelerate's trackers: a fake backend, and real ones that write files."""

from __future__ import annotations

import json
import math
import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from accelerate import tracking
from accelerate.state import PartialState

from data_utils.errors import UserError
from mt_dnn.registries import TRACKERS
from mt_dnn.tracking import accelerate_tracker
from mt_dnn.tracking.accelerate_tracker import AccelerateTracker
from mt_dnn.tracking.prediction_plots import scatter_figure
from mt_dnn.tracking.trackers import Trackers, build_tracker

CONFIG = {"optim.lr": 5e-5, "optim.betas": (0.9, 0.999), "optim.head_lr": None, "limit": math.inf}
NAMES = [name for name in TRACKERS.names() if "accelerate" in TRACKERS.place(name)]


@pytest.fixture(autouse=True)
def state():
    PartialState(cpu=True)


class FakeTracker(tracking.GeneralTracker):
    name = "wandb"
    requires_logging_directory = False

    def __init__(self, project, **options):
        super().__init__()
        self.arguments = (project, options)
        self.calls: list[Any] = []
        made.append(self)

    @property
    def tracker(self):
        return SimpleNamespace(id="k7")

    def start(self):
        if self.arguments[1].get("mode") == "refused":
            raise RuntimeError("no API key")

    def store_init_configuration(self, values):
        self.calls.append(values)

    def log(self, values, step=None, **options):
        self.calls.append((step, values))

    def log_images(self, values, step=None, **options):
        self.calls.append((step, values))

    def finish(self):
        self.calls.append("finish")


made: list[FakeTracker] = []


@pytest.fixture
def fake(monkeypatch):
    """accelerate's class for wandb is a fake; returns the instances that were made."""
    monkeypatch.setattr(accelerate_tracker, "_installed", lambda module: True)
    monkeypatch.setitem(tracking.LOGGER_TYPE_TO_CLASS, "wandb", FakeTracker)
    made.clear()
    return made


def test_numbers_are_logged_and_settings_made_plain(fake, tmp_path):
    with build_tracker("wandb", tmp_path / "glue" / "rte", {"mode": "offline"}) as tracker:
        tracker.start(CONFIG)
        values = {
            "a": np.float32(0.5),
            "nan": math.nan,
            "n": 3,
            "by_class": {"x": 1.0},
            "none": None,
        }
        tracker.scalars(2, values)
        tracker.timings(2, {"speed": 7.0})
        tracker.scalars(3, {"matrix": [[1, 2]]})  # no number: no call
        tracker.text("config", "x")
        tracker.hparams(CONFIG)
    (backend,) = fake
    folder = str(tmp_path / "glue" / "rte")
    assert backend.arguments == ("glue", {"name": "rte", "dir": folder, "mode": "offline"})
    assert backend.calls[0] == {
        "optim.lr": 5e-5,
        "optim.betas": "0.9, 0.999",
        "optim.head_lr": None,
        "limit": "inf",
    }
    step, logged = backend.calls[1]
    assert (step, set(logged)) == (2, {"a", "nan", "n"})
    assert (logged["a"], logged["n"]) == (0.5, 3.0)
    assert math.isnan(logged["nan"])
    assert backend.calls[2:] == [(2, {"speed": 7.0}), "finish"]


def test_a_picture_is_an_rgb_array(fake, tmp_path):
    with build_tracker("wandb", tmp_path / "r", {}) as tracker:
        tracker.start({})
        tracker.images(4, {"scatter/x": scatter_figure([1.0], [1.0])})
    step, images = fake[0].calls[1]
    (array,) = images["scatter/x"]
    assert step == 4
    assert array.dtype == np.uint8
    assert array.ndim == 3
    assert array.shape[2] == 3


def test_project_and_name_are_options(fake, tmp_path):
    options = {"wandb": {"project": "p", "name": "n", "dir": "d"}}
    with Trackers(tmp_path, ["wandb"], options) as tracker:
        tracker.start({})
    assert fake[0].arguments == ("p", {"name": "n", "dir": "d"})


def test_a_resumed_run_continues_that_of_the_backend(fake, tmp_path):
    run_dir = tmp_path / "runs" / "r"
    with build_tracker("wandb", run_dir, {}) as tracker:
        tracker.start(CONFIG)
    assert json.loads((run_dir / "trackers.json").read_text()) == {"wandb": "k7"}
    with build_tracker("wandb", run_dir, {}) as tracker:
        tracker.truncate_after(4)
        tracker.start(CONFIG)
    assert fake[1].arguments[1] == {"name": "r", "dir": str(run_dir), "id": "k7", "resume": "allow"}
    assert fake[1].calls == fake[0].calls  # the settings again

    (run_dir / "trackers.json").write_text("{")  # damaged: a new run in the backend
    with build_tracker("wandb", run_dir, {}) as tracker:
        tracker.truncate_after(4)
        tracker.start(CONFIG)
    assert "id" not in fake[2].arguments[1]
    assert len(fake[2].calls) == 2


def test_a_backend_that_does_not_start_is_an_error_that_names_it(fake, tmp_path):
    tracker = build_tracker("wandb", tmp_path, {"mode": "refused"})
    with pytest.raises(
        UserError, match=r"tracker wandb did not start.*no API key.*tracker_options"
    ):
        tracker.start({})


def test_a_missing_package_is_an_error_before_the_run(monkeypatch, tmp_path):
    monkeypatch.setattr(accelerate_tracker, "_installed", lambda module: False)
    with pytest.raises(
        UserError, match=r"comet_ml needs the package comet-ml.*pip install comet-ml"
    ):
        Trackers(tmp_path, ["comet_ml"])


@pytest.mark.parametrize("name", NAMES)
def test_the_table_agrees_with_accelerate(name, monkeypatch, tmp_path):
    monkeypatch.setattr(accelerate_tracker, "_installed", lambda module: True)
    cls = tracking.LOGGER_TYPE_TO_CLASS[name]
    tracker = build_tracker(name, tmp_path, {})
    assert isinstance(tracker, AccelerateTracker)
    assert tracker.takes_images == hasattr(cls, "log_images") or name == "mlflow"
    project, options = tracker.arguments()
    cls(project, **options)  # the constructors start nothing


def test_every_tracker_of_accelerate_has_a_name():
    assert set(NAMES) == set(tracking.LOGGER_TYPE_TO_CLASS) - {"tensorboard"}


def log_run(
    name: str, run_dir: Path, steps: range, *, resume: bool = False, **options: Any
) -> None:
    with build_tracker(name, run_dir, options) as tracker:
        if resume:
            tracker.truncate_after(steps[0] - 1)
        tracker.start(CONFIG | {"train.log_every": steps[0]})
        for step in steps:
            tracker.scalars(step, {"train/rte/loss": 1 / step, "by_class": [1.0]})
            tracker.timings(step, {"speed/tokens_per_second": 10.0 * step})
            tracker.images(step, {"scatter/rte": scatter_figure([1.0], [1.0])})


def test_trackio_reads_back_a_run_and_its_continuation(tmp_path, monkeypatch):
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))  # read when it is imported
    pytest.importorskip("trackio")
    from trackio.sqlite_storage import SQLiteStorage

    run_dir = tmp_path / "glue" / "rte"
    log_run("trackio", run_dir, range(1, 4), auto_log_gpu=False)
    log_run("trackio", run_dir, range(4, 6), resume=True)
    logs = SQLiteStorage.get_logs("glue", "rte")
    losses = {line["step"]: line["train/rte/loss"] for line in logs if "train/rte/loss" in line}
    assert losses == {step: 1 / step for step in range(1, 6)}
    assert "by_class" not in set().union(*logs)
    with sqlite3.connect(tmp_path / "trackio" / "glue.db") as database:
        ((text,),) = database.execute("select config from configs").fetchall()
    config = json.loads(text)
    assert config["optim.lr"] == 5e-5
    assert config["optim.betas"] == "0.9, 0.999"


def test_mlflow_reads_back_a_run_and_its_continuation(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    run_dir = tmp_path / "glue" / "rte"
    log_run("mlflow", run_dir, range(1, 4))
    log_run("mlflow", run_dir, range(4, 6), resume=True)
    client = mlflow.MlflowClient()
    (experiment,) = client.search_experiments(filter_string="name = 'glue'")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_name == "rte"
    history = client.get_metric_history(run.info.run_id, "train/rte/loss")
    assert {point.step: point.value for point in history} == {s: 1 / s for s in range(1, 6)}
    assert run.data.metrics["speed/tokens_per_second"] == 50.0
    assert run.data.params["optim.lr"] == "5e-05"  # MLflow refuses another value for it
    assert run.data.params["limit"] == "inf"
    pictures = client.list_artifacts(run.info.run_id, "scatter/rte")
    assert [Path(picture.path).name for picture in pictures] == [
        f"{s:08d}.png" for s in range(1, 6)
    ]


def test_wandb_writes_a_run_and_its_pictures(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_SILENT", "true")
    run_dir = tmp_path / "glue" / "rte"
    run_dir.mkdir(parents=True)
    log_run("wandb", run_dir, range(1, 4), mode="offline")
    wandb.teardown()  # its service writes the file
    run_id = json.loads((run_dir / "trackers.json").read_text())["wandb"]
    (folder,) = (run_dir / "wandb").glob("offline-run-*")
    written = (folder / f"run-{run_id}.wandb").read_bytes()
    for text in (b"train/rte/loss", b"speed/tokens_per_second", b"0.9, 0.999"):
        assert text in written
    pictures = sorted((folder / "files/media/images/scatter").iterdir())
    assert [path.name.split("_")[1] for path in pictures] == ["1", "2", "3"]
    assert pictures[0].read_bytes().startswith(b"\x89PNG")
