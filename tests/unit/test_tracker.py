"""What a run writes: JSON lines and TensorBoard events."""

import json
import math
import re
import subprocess
import sys

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer import event_file_writer

from mt_dnn.config.dotted import flatten
from mt_dnn.tracking.prediction_plots import scatter_figure
from mt_dnn.tracking.trackers import Trackers
from mt_dnn.tracking.values import fenced, markdown_table


def lines(run_dir, name="metrics.jsonl"):
    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    text = (run_dir / name).read_text()
    return [json.loads(line, parse_constant=refuse) for line in text.splitlines()]


def events(run_dir):
    accumulator = EventAccumulator(str(run_dir))
    accumulator.Reload()
    return accumulator


def test_importing_pulls_in_neither_torch_nor_tensorboard_nor_matplotlib():
    code = (
        "import sys, mt_dnn.tracking.trackers, mt_dnn.tracking.jsonl, mt_dnn.tracking.tensorboard, mt_dnn.tracking.accelerate_tracker, mt_dnn.tracking.prediction_plots, mt_dnn.tracking.console, mt_dnn.tracking.progress;"
        "print([m for m in ('torch', 'tensorboard', 'matplotlib', 'accelerate') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_scalars_go_to_both_files_and_timings_stay_apart(tmp_path):
    with Trackers(tmp_path) as tracker:
        tracker.scalars(5, {"train/rte/loss": 0.5, "train/lr": np.float32(0.25)})
        tracker.timings(5, {"speed/examples_per_second": 100.0})
    assert lines(tmp_path) == [{"step": 5, "train/rte/loss": 0.5, "train/lr": 0.25}]
    assert lines(tmp_path, "timing.jsonl") == [{"step": 5, "speed/examples_per_second": 100.0}]
    board = events(tmp_path)
    assert set(board.Tags()["scalars"]) == {
        "train/rte/loss",
        "train/lr",
        "speed/examples_per_second",
    }
    assert [(e.step, e.value) for e in board.Scalars("train/rte/loss")] == [(5, 0.5)]


def test_values_that_are_no_numbers_make_valid_json_and_no_curve(tmp_path):
    values = {
        "nan": math.nan,
        "inf": np.float64("-inf"),
        "none": None,
        "matrix": np.array([[1, 2], [3, 4]]),
        "by_class": {0: math.nan, "b": [1.5, None]},
        "word": "x",
        "count": np.int64(3),
    }
    with Trackers(tmp_path) as tracker:
        tracker.scalars(1, values)
    assert lines(tmp_path) == [
        {
            "step": 1,
            "nan": None,
            "inf": None,
            "none": None,
            "matrix": [[1, 2], [3, 4]],
            "by_class": {"0": None, "b": [1.5, None]},
            "word": "x",
            "count": 3,
        }
    ]
    assert set(events(tmp_path).Tags()["scalars"]) == {"nan", "inf", "count"}


def log_steps(tracker, steps):
    for step in steps:
        tracker.scalars(step, {"train/rte/loss": 1.0 / step})
        tracker.timings(step, {"speed/seconds": float(step)})


def test_resumed_files_equal_the_uninterrupted_ones(tmp_path):
    with Trackers(tmp_path / "whole") as tracker:
        log_steps(tracker, range(1, 9))

    with Trackers(tmp_path / "resumed") as tracker:
        log_steps(tracker, range(1, 7))
    with (tmp_path / "resumed" / "metrics.jsonl").open("a") as stream:
        stream.write('{"step": 3, "train/r')  # killed while it wrote
    with Trackers(tmp_path / "resumed") as tracker:
        tracker.truncate_after(4)
        assert [line["step"] for line in lines(tmp_path / "resumed")] == [1, 2, 3, 4]
        log_steps(tracker, range(5, 9))

    for name in ("metrics.jsonl", "timing.jsonl"):
        whole, resumed = (tmp_path / run / name for run in ("whole", "resumed"))
        assert resumed.read_bytes() == whole.read_bytes()


def test_tensorboard_forgets_what_was_logged_past_the_step_resumed_from(tmp_path, monkeypatch):
    # Event files of one second are read in the order of their names, which end in this process's count
    # of files: file 10 would come before file 9.
    monkeypatch.setattr(event_file_writer, "_global_uid", event_file_writer.AtomicCounter(100))
    with Trackers(tmp_path) as tracker:
        log_steps(tracker, range(1, 7))
    with Trackers(tmp_path) as tracker:
        tracker.truncate_after(4)
        tracker.scalars(5, {"train/rte/loss": 7.0})
    curve = events(tmp_path).Scalars("train/rte/loss")
    assert [event.step for event in curve] == [1, 2, 3, 4, 5]
    assert curve[-1].value == 7.0
    # Nothing was logged again under this tag, and still its last points are gone.
    assert [event.step for event in events(tmp_path).Scalars("speed/seconds")] == [1, 2, 3, 4]


def test_a_resumed_run_of_an_older_version_has_one_curve(tmp_path):
    from torch.utils.tensorboard import SummaryWriter

    older = tmp_path / "tensorboard"
    with SummaryWriter(str(older)) as writer:
        for step in range(1, 7):
            writer.add_scalar("train/rte/loss", 1.0 / step, step)
    (written,) = (
        older.iterdir()
    )  # in the second before, as TensorBoard orders files by the second in their name
    written.rename(
        older / re.sub(r"[0-9]{10}", lambda m: str(int(m[0]) - 1), written.name, count=1)
    )
    with Trackers(tmp_path) as tracker:
        tracker.truncate_after(4)
        tracker.scalars(5, {"train/rte/loss": 7.0})
    assert not older.exists()
    assert [event.step for event in events(tmp_path).Scalars("train/rte/loss")] == [1, 2, 3, 4, 5]


def test_other_processes_write_nothing(tmp_path):
    with Trackers(tmp_path / "run", enabled=False) as tracker:
        tracker.scalars(1, {"a": 1.0})
        tracker.timings(1, {"a": 1.0})
        tracker.start({"lr": 1})
        tracker.text("config", "x")
        tracker.hparams({"lr": 1})
        tracker.images(1, {"scatter/x": scatter_figure([1.0], [1.0])})
        tracker.truncate_after(0)
        assert not tracker.takes_images
    assert not (tmp_path / "run").exists()


def test_hparams_go_into_the_run_itself_and_keep_their_types(tmp_path):
    from tensorboard.plugins.hparams import metadata

    config = flatten(
        {
            "seed": 1,
            "optim": {"lr": 5e-5, "betas": (0.9, 0.999), "head_lr": None},
            "system": {"compile": False},
            "limit": math.inf,
        }
    )
    with Trackers(tmp_path / "rte") as tracker:
        tracker.hparams(config)
        tracker.scalars(1, {"eval/average": 50.0})
    assert {path.is_file() for path in (tmp_path / "rte").iterdir()} == {True}
    board = events(tmp_path / "rte")
    tag = metadata.SESSION_START_INFO_TAG
    content = board.SummaryMetadata(tag).plugin_data.content
    start = metadata.parse_session_start_info_plugin_data(content)
    assert start.hparams["optim.lr"].number_value == 5e-5
    assert start.hparams["optim.betas"].string_value == "0.9, 0.999"
    assert start.hparams["system.compile"].WhichOneof("kind") == "bool_value"
    assert start.hparams["limit"].string_value == "inf"
    assert "optim.head_lr" not in start.hparams
    assert start.group_name == f"rte ({tmp_path.name})"
    assert metadata.EXPERIMENT_TAG not in board.Tags()["tensors"]


def test_text_and_figures_keep_their_tags(tmp_path):
    with Trackers(tmp_path) as tracker:
        tracker.text("config", fenced("seed: 1\n"))
        tracker.images(3, {"scatter/stsb_dev": scatter_figure([0.0, 5.0], [1.0, 4.0])})
    board = events(tmp_path)
    assert "config" in board.Tags()["tensors"]
    assert board.Tensors("config")[0].tensor_proto.string_val[0] == b"```yaml\nseed: 1\n```"
    (image,) = board.Images("scatter/stsb_dev")
    assert image.step == 3
    assert image.encoded_image_string.startswith(b"\x89PNG")


def test_scores_of_the_best_model_are_one_point_for_hparams_in_tensorboard(tmp_path):
    with Trackers(tmp_path) as tracker:
        tracker.best(2, {"best/average": 50.0}, found_at=2)
        tracker.best(4, {"best/average": 60.0}, found_at=4)
        tracker.best(6, {"best/average": 60.0}, found_at=4)
    assert [line["step"] for line in lines(tmp_path)] == [2, 4, 6]
    board = events(tmp_path)
    assert board.Tags()["scalars"] == ["eval-best/average"]
    assert [(e.step, e.value) for e in board.Scalars("eval-best/average")] == [(4, 60.0)]


def test_charts_become_the_layout_of_custom_scalars(tmp_path):
    from tensorboard.plugins.custom_scalar import layout_pb2, metadata

    with Trackers(tmp_path) as tracker:
        tracker.charts({"Loss": {"loss": ["train/[^/]+/loss$"]}})
    (event,) = events(tmp_path).Tensors(metadata.CONFIG_SUMMARY_TAG)
    layout = layout_pb2.Layout.FromString(event.tensor_proto.string_val[0])
    (chart,) = layout.category[0].chart
    assert (layout.category[0].title, chart.title) == ("Loss", "loss")
    assert list(chart.multiline.tag) == ["train/[^/]+/loss$"]


def test_precision_recall_curves_and_texts_of_a_step(tmp_path):
    from tensorboard.plugins.pr_curve import metadata

    with Trackers(tmp_path) as tracker:
        tracker.precision_recall(3, {"pr/rte/yes": ([True, False], [0.9, 0.2])})
        tracker.texts(3, {"mistakes/rte": "none"})
    board = events(tmp_path)
    assert board.SummaryMetadata("pr/rte/yes").plugin_data.plugin_name == metadata.PLUGIN_NAME
    assert [board.Tensors(tag)[0].step for tag in ("pr/rte/yes", "mistakes/rte")] == [3, 3]


def test_markdown_table_escapes_what_would_end_a_cell():
    table = markdown_table(["task", "labels"], [["a|b", ("x", "y")], ["c\nd", None]])
    assert table.splitlines() == [
        "| task | labels |",
        "| --- | --- |",
        r"| a\|b | x, y |",
        "| c d |  |",
    ]
