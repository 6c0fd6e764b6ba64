"""The page that a run writes, and its numbers recomputed from the run's predictions."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    precision_recall_fscore_support,
)

from mt_dnn.reports import page as report_page
from mt_dnn.reports.page import read_runs, render
from mt_dnn.runs.run_dir import config_yaml
from mt_dnn.training import command as train
from mt_dnn.training import trainer
from tests.support.report_runs import Page


def test_the_scores_of_the_page_are_those_of_the_predictions(run):
    page = Page(render(read_runs([run.folder])))
    shown, dataset = {}, ""
    for row in page.rows("data set", "metric", "score"):
        dataset = row[0] or dataset
        shown[dataset, row[1]] = float(row[2].split()[0])
    for name in ("nli", "tone"):
        lines = run.written(name)
        gold, predicted = ([line[key] for line in lines] for key in ("gold", "prediction"))
        assert shown[name, "ACC"] == pytest.approx(100 * accuracy_score(gold, predicted), abs=0.005)
        if name == "tone":
            assert shown[name, "F1"] == pytest.approx(100 * f1_score(gold, predicted), abs=0.005)
    assert 0 < shown["nli", "ACC"] <= 100


def test_the_classes_and_the_confusion_of_the_page_are_those_of_the_predictions(run):
    page = Page(render(read_runs([run.folder])))
    lines = run.written("nli")
    gold, predicted = ([line[key] for line in lines] for key in ("gold", "prediction"))
    labels = ["entailment", "neutral", "contradiction"]
    expected = precision_recall_fscore_support(gold, predicted, labels=labels, zero_division=0)
    tables = [table for table in page.tables if [row[0] for row in table[1:]] == labels]
    classes, matrix = tables
    for place, label in enumerate(labels):
        _, *shares, support = (" ".join(cell.split()) for cell in classes[1 + place])
        assert [float(x) for x in shares] == pytest.approx(
            [100 * column[place] for column in expected[:3]], abs=0.05
        ), label
        assert int(support) == expected[3][place]
    counts = [[int(cell) for cell in row[1:]] for row in matrix[1:]]
    present = [label for label in labels if label in gold or label in predicted]
    assert present == labels
    assert counts == confusion_matrix(gold, predicted, labels=labels).tolist()


@pytest.mark.usefixtures("no_pictures")
def test_training_writes_the_page_and_does_not_fail_with_it(
    tiny_config, tmp_path, monkeypatch, capsys
):
    path = tmp_path / "run.yml"
    path.write_text(config_yaml(tiny_config(train={"max_steps": 1}, smart="smart")))
    train.main(["--config", str(path)])
    html = tmp_path / "runs" / "run" / "report.html"
    assert f"Report: {html}" in capsys.readouterr().out
    titles = Page(html.read_text(encoding="utf-8")).titles
    assert {"Scores", "Learning curves", "SMART's health"} <= set(titles)

    html.unlink()
    finished = SimpleNamespace(is_main=True, run_dir=html.parent, fit=lambda: None)
    monkeypatch.setattr(trainer, "Trainer", lambda config: finished)
    train.main(["--config", str(path), "--train.report", "false"])
    assert not html.exists()
    monkeypatch.setattr(report_page, "_facts", lambda run: 1 / 0)
    train.main(["--config", str(path)])
    assert "note: no report.html: ZeroDivisionError" in capsys.readouterr().err
    assert not html.exists()
