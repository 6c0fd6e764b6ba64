"""Predictions, scores and label files that a person changed: compare names the line and does not compute."""

from __future__ import annotations

import json

import pytest

from data_utils.errors import UserError
from data_utils.sources import DelimitedSource
from mt_dnn.reports.scored_run import read_scored_run
from mt_dnn.task_types import load_tasks
from tests.support.written_run import lines, write_run

RIGHT = lines("ab", "ab")


@pytest.mark.parametrize(
    "wrong",
    [
        {"prediction": ["a"]},
        {"scores": {"a": 0.5}},
        {"scores": ["x", "y", "z"]},
        {"scores": [0.5]},
    ],
)
def test_a_prediction_of_another_form(tmp_path, wrong):
    run = write_run(tmp_path / "r", {"t": [RIGHT[0], RIGHT[1] | wrong]})
    with pytest.raises(UserError, match=r"t\.jsonl:2: not a prediction of task 't'"):
        read_scored_run(str(run)).results("t")


def test_a_label_for_each_word(tmp_path):
    run = write_run(tmp_path / "r", {"w": lines([["O", "B-x"]], [["O"]])})
    with pytest.raises(UserError, match=r"w\.jsonl:1: not a prediction.*2 gold labels for 1"):
        read_scored_run(str(run)).results("w")


@pytest.mark.parametrize("key", ["details", "intervals"])
@pytest.mark.parametrize("value", [[], 5, {"t": []}])
def test_scores_with_wrong_parts(tmp_path, key, value):
    run = write_run(tmp_path / "r", {"t": RIGHT})
    values = json.loads((run / "scores.json").read_text())
    (run / "scores.json").write_text(json.dumps(values | {key: value}))
    with pytest.raises(UserError, match=r"scores\.json is damaged: "):
        read_scored_run(str(run))


def test_an_environment_with_wrong_parts(tmp_path):
    run = write_run(tmp_path / "r", {"t": RIGHT})
    (run / "environment.json").write_text('{"data": []}')
    with pytest.raises(UserError, match=r"environment\.json is damaged: data is not an object"):
        read_scored_run(str(run))


def test_one_label_in_all_training_rows(tmp_path):
    (tmp_path / "t_train.tsv").write_text("0\tx\tone\n1\tx\ttwo\n")
    (tmp_path / "tasks.yml").write_text(
        "t: {data_format: PremiseOnly, task_type: Classification, labels: auto, metric_meta: [ACC]}"
    )
    with pytest.raises(UserError, match="all training rows of task 't' have the label 'x'"):
        load_tasks(tmp_path / "tasks.yml", data_dir=tmp_path)


def test_line_ends_of_carriage_returns(tmp_path):
    (tmp_path / "x.csv").write_bytes(b"label,text\rp,a b\rn,c d\r")
    with pytest.raises(UserError, match=r"x\.csv:1: a carriage return \(CR\) without a line feed"):
        list(DelimitedSource(tmp_path / "x.csv", {}).rows())
