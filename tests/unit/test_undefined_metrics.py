"""A metric that is undefined for the data is a dash in comparisons and reports, not a number."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from mt_dnn.reports import compare as command_module
from mt_dnn.reports.run_record import read_run
from mt_dnn.reports.scores import scores_view
from tests.support.written_run import lines, write_run

TASKS = """\
t: {data_format: PremiseOnly, task_type: Classification, labels: [a, b], metric_meta: [ACC, AUC]}
n: {data_format: PremiseOnly, task_type: Regression, n_class: 1, metric_meta: [Pearson]}
"""
RECORDED = {"t": {"ACC": 100.0, "AUC": 50.0}, "n": {"Pearson": 0.0}}
"""With the numbers that stand for undefined scores."""


def write(folder: Path, classes: str, numbers: list[float]) -> Path:
    """A run with gold labels ``classes``, all predicted, and gold ``numbers``, predicted as 1, 2, ..."""
    records = [{**line, "scores": [0.5, 0.5]} for line in lines(classes, classes)]
    values = lines(numbers, [float(i) for i, _ in enumerate(numbers)])
    write_run(folder, {"t": records, "n": values}, tasks=TASKS)
    path = folder / "scores.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"scores": RECORDED}))
    return folder


@pytest.fixture
def undefined(tmp_path: Path) -> Path:
    return write(tmp_path / "one", "aaaa", [2.0, 2.0, 2.0])


def cells(printed: str, metric: str) -> list[str]:
    (line,) = [line for line in printed.splitlines() if line.split()[:1] == [metric]]
    return line.split()


def test_two_runs(undefined, tmp_path, command):
    code, printed, err = command(command_module.main, undefined, undefined)
    assert (code, err) == (0, "")
    assert cells(printed, "AUC") == ["AUC", "-", "-", "-"]
    assert cells(printed, "Pearson") == ["Pearson", "-", "-", "-"]
    assert cells(printed, "ACC")[:3] == ["ACC", "100.00", "100.00"]


def test_one_run(undefined, tmp_path, command):
    before = (undefined / "scores.json").read_bytes()
    _, printed, _ = command(command_module.main, undefined)
    assert cells(printed, "AUC") == ["AUC", "-", "-"]
    assert cells(printed, "Pearson") == ["Pearson", "-", "-"]
    assert cells(printed, "ACC") == ["ACC", "100.00", "-"]
    assert (undefined / "scores.json").read_bytes() == before
    defined = write(tmp_path / "two", "abab", [2.0, 3.0, 2.0])  # 50 and 0 are their scores
    _, printed, _ = command(command_module.main, defined)
    assert cells(printed, "AUC") == ["AUC", "50.00", "-"]
    assert cells(printed, "Pearson") == ["Pearson", "0.00", "-"]


def test_the_page(undefined):
    view = scores_view(read_run(undefined))
    assert view is not None
    shown = {row.metric: row.score for _, rows in view.groups for row in rows}
    assert shown["ACC"] == 100.0
    assert math.isnan(shown["AUC"])
    assert math.isnan(shown["Pearson"])


def test_without_predictions_the_recorded_number_stays(undefined):
    (undefined / "predictions" / "t.jsonl").unlink()
    scores = read_run(undefined).scores
    assert scores is not None
    assert scores.scores["t"]["AUC"] == 50.0
    assert math.isnan(scores.scores["n"]["Pearson"])
