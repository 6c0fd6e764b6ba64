"""The details of a finished run: in scores.json and errors/, with the texts of its rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data_utils.metrics.base import Results
from data_utils.registries import METRICS
from data_utils.store import TaskStore
from mt_dnn.inference.details.classes import class_rows
from mt_dnn.inference.details.describe import describe_run
from mt_dnn.inference.details.intervals import score_intervals
from mt_dnn.inference.details.predictions import read_predictions
from tests.support.finished_run import read_jsonl
from tests.support.runs import run as train

KEYS = ["kind", "uid", "text", "gold", "prediction", "confidence"]


def scores(run) -> dict:
    return json.loads((run.folder / "scores.json").read_text())


def test_every_data_set_with_labels_has_details(run):
    found = scores(run)
    details = found["details"]
    assert set(details) == {"nli", "tone", "sim", "rank"}  # the test sets have no labels
    assert set(details["nli"]) == {"examples", "outcome", "classes", "confusion", "calibration"}
    assert set(details["sim"]) == {"examples", "outcome", "ranges"}
    assert all(own["examples"] == 13 for own in details.values())
    assert sum(map(sum, details["nli"]["confusion"]["counts"])) == 13
    assert sum(row["count"] for row in details["sim"]["ranges"]) == 13
    for dataset, metrics in found["intervals"].items():
        for metric, (low, high) in metrics.items():
            assert low <= found["scores"][dataset][metric] <= high, (dataset, metric)
    assert found["intervals"].keys() == found["scores"].keys()


def test_they_are_those_of_the_written_predictions(run):
    found = scores(run)
    labels = ["entailment", "neutral", "contradiction"]
    rows = run.written("nli")
    gold, predicted = ([labels.index(row[key]) for row in rows] for key in ("gold", "prediction"))
    results = Results(gold, predicted, labels=labels)
    assert found["details"]["nli"]["classes"] == class_rows(results)
    expected = score_intervals({"ACC": METRICS.get("ACC")}, results)
    assert tuple(found["intervals"]["nli"]["ACC"]) == expected["ACC"]


def test_predictions_are_read_back_as_they_were_scored(run, predictor):
    for name, kind in predictor.model.task_types.items():
        path = run.folder / "predictions" / f"{name}.jsonl"
        results = read_predictions(path, kind.task, kind.outcome(kind.task))
        assert results is not None
        facts = {"labels": results.labels, "uids": results.uids, "options": results.options}
        for metric in kind.task.metrics:
            value = METRICS.get(metric)(results.gold, results.predicted, results.scores, **facts)
            assert value == scores(run)["scores"][name][metric]
    unlabelled = run.folder / "predictions" / "nli_test.jsonl"
    nli = predictor.model.task_types["nli"]
    assert read_predictions(unlabelled, nli.task, nli.outcome(nli.task)) is None


def test_mistakes_have_the_texts_of_their_rows(run):
    rows = {row["uid"]: row for row in run.rows("nli")}
    lines = read_jsonl(run.folder / "errors" / "nli.jsonl")
    written = {row["uid"]: row for row in run.written("nli")}
    assert len(lines) == len({line["uid"] for line in lines}) == 13
    for line in lines:
        assert list(line) == KEYS
        row = rows[line["uid"]]
        assert line["text"] == {key: row[key] for key in ("premise", "hypothesis")}
        assert line["gold"] == row["label"]
        scores = written[line["uid"]]["scores"]
        values = scores.values() if isinstance(scores, dict) else scores
        assert line["confidence"] == max(values)
        if line["kind"] == "confident":
            assert line["prediction"] != line["gold"]
    kinds = [line["kind"] for line in lines]
    assert kinds == sorted(kinds)
    ranked = read_jsonl(run.folder / "errors" / "rank.jsonl")
    assert all(len(line["text"]) == 1 + len(line["gold"]) for line in ranked)
    assert {"premise", "hypothesis 1", "hypothesis 2"} <= set(ranked[0]["text"])
    numbers = read_jsonl(run.folder / "errors" / "sim.jsonl")
    errors = [abs(line["gold"] - line["prediction"]) for line in numbers]
    assert errors == sorted(errors, reverse=True)
    assert not (run.folder / "errors" / "nli_test.jsonl").exists()


@pytest.fixture
def ended(run, predictor, tmp_path, monkeypatch):
    """``ended(folder)``: the details of the finished run again, with its rows in another folder."""
    copy = tmp_path / "run"
    (copy / "predictions").mkdir(parents=True)
    for path in (run.folder / "predictions").iterdir():
        (copy / "predictions" / path.name).write_bytes(path.read_bytes())
    folders = {path.name.removesuffix("_dev"): path for path in run.data.rglob("store/*/*_dev")}
    stores = {name: TaskStore(path) for name, path in folders.items()}

    def describe(folder: Path) -> dict[str, list[dict]]:
        kinds, tokenizer = predictor.model.task_types, predictor.tokenizer
        found = describe_run(copy, kinds, stores, data_dir=folder, tokenizer=tokenizer)
        assert set(found["details"]) == set(stores)
        return {path.stem: read_jsonl(path) for path in (copy / "errors").iterdir()}

    return describe


def test_texts_are_decoded_if_the_rows_are_gone_or_have_changed(run, ended, tmp_path):
    with_rows, without = ended(run.data), ended(tmp_path)
    for name, lines in without.items():
        for line, full in zip(lines, with_rows[name], strict=True):
            assert {**line, "text": None} == {**full, "text": None}
            if name == "rank":
                assert list(line["text"]) == [
                    f"candidate {i + 1}" for i in range(len(line["gold"]))
                ]
    by_uid = {line["uid"]: line["text"] for line in without["tone"]}
    for row in run.rows("tone"):
        assert by_uid[row["uid"]] == {"text": row["premise"]}
    changed = (run.data / "tone_dev.tsv").read_text().replace("100\t", "999\t")
    (tmp_path / "tone_dev.tsv").write_text(changed)
    assert {line["uid"]: line["text"] for line in ended(tmp_path)["tone"]} == by_uid


def test_a_run_without_predictions_has_no_details(tiny_config, no_pictures):
    trainer = train(tiny_config(train={"max_steps": 1, "predictions": False}))
    found = json.loads((trainer.run_dir / "scores.json").read_text())
    assert found["details"] == found["intervals"] == {}
    assert not (trainer.run_dir / "errors").exists()
