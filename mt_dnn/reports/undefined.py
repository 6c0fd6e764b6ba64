"""Undefined metrics of a finished run, for which scores.json has a number in their place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from data_utils.metrics.base import Metric, Results, Undefined
from data_utils.metrics.outcome import Outcome
from data_utils.registries import METRICS
from mt_dnn.inference.details.predictions import dataset_tasks, read_predictions
from mt_dnn.reports.run_tasks import read_tasks
from mt_dnn.reports.score_file import MISSING, ScoreFile


def without_stand_ins(scores: ScoreFile, folder: Path) -> ScoreFile:
    """Return scores with NaN in place of the numbers that stand for undefined metrics.

    The area under a ROC curve with one class, for example, is recorded as 50. A score that equals the
    number of its metric is looked up in the predictions of the run; where these are missing, it stays.

    Args:
        scores: of the run.
        folder: the run directory.

    Raises:
        UserError: a file of predictions or tasks.yml is damaged.
    """
    found = {
        dataset: own | dict.fromkeys(_undefined(scores, folder, dataset), MISSING)
        for dataset, own in scores.scores.items()
    }
    return replace(scores, scores=found)


def _undefined(scores: ScoreFile, folder: Path, dataset: str) -> Iterator[str]:
    """Yield the names of the metrics that are undefined on a data set."""
    detail, path = scores.details.get(dataset), folder / "predictions" / f"{dataset}.jsonl"
    numbers = {
        name: METRICS.get(name)
        for name, value in scores.scores[dataset].items()
        if name in METRICS and value == METRICS.get(name).undefined
    }
    if not numbers or detail is None or not path.exists():
        return
    tasks = dataset_tasks(read_tasks(folder))
    outcome = Outcome.__members__.get(detail.outcome or "")
    results = read_predictions(path, tasks[dataset], outcome)
    if results is not None:
        yield from (name for name, metric in numbers.items() if _is_undefined(metric, results))


def _is_undefined(metric: Metric, results: Results) -> bool:
    if not metric.has_scores(results):
        return False
    try:
        metric.score(results)
    except Undefined:
        return True
    return False
