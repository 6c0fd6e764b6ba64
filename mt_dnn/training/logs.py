"""Tracker reports of a run: its setup, evaluations, plots and best scores."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from itertools import chain
from typing import Any

from data_utils.registries import METRICS
from mt_dnn.config.dotted import flatten
from mt_dnn.config.run import RunConfig
from mt_dnn.inference.evaluate import Evaluation
from mt_dnn.runs.prepare import RunData
from mt_dnn.runs.run_dir import config_yaml
from mt_dnn.task_types import TaskType
from mt_dnn.tracking.prediction_plots import confusion_matrix_figure, scatter_figure
from mt_dnn.tracking.tracker import Tracker
from mt_dnn.tracking.values import fenced, markdown_table


def log_setup(tracker: Tracker, config: RunConfig, data: RunData) -> None:
    """Start the trackers, and log the configuration, the task table and the hyperparameters."""
    values = dataclasses.asdict(config)
    values.pop("tracker_options")
    tracker.start(flatten(values))
    tracker.text("config", fenced(config_yaml(config)))
    columns = ["task", "type", "format", "classes", "metrics", "best by", "train", "dev"]
    rows = []
    for task in data.tasks.values():
        dev = [f"{n} {len(s)}" for n, s in data.dev.items() if s.manifest.task == task.name]
        rows.append(
            [
                *(task.name, task.task_type, task.data_format, task.labels or task.n_class),
                *(task.metrics, task.metric_for_best, len(data.train.get(task.name, ())), dev),
            ]
        )
    tracker.text("tasks", markdown_table(columns, rows))
    # Settings of where a run is stored and computed are no hyperparameters.
    for field in ("name", "output_dir", "resume", "overwrite", "system", "trackers"):
        values.pop(field)
    tracker.hparams(flatten(values))


def log_evaluation(
    tracker: Tracker,
    step: int,
    evaluations: dict[str, Evaluation],
    average: float,
    kinds: dict[str, TaskType],
) -> None:
    """Log the scores, losses and average, and a plot of each data set's predictions."""
    scores: dict[str, Any] = {
        f"eval/{dataset}/{metric}": value
        for dataset, evaluation in evaluations.items()
        for metric, value in evaluation.metrics.items()
    }
    scores |= {f"eval/{name}/loss": e.loss for name, e in evaluations.items() if e.loss is not None}
    tracker.scalars(step, scores | {"eval/average": average})
    if not tracker.takes_images:
        return
    for dataset, evaluation in evaluations.items():
        task = evaluation.task
        gold = [prediction.gold for prediction in evaluation.predictions]
        values = [prediction.value for prediction in evaluation.predictions]
        picture = kinds[task.name].picture
        if picture == "confusion":
            if isinstance(gold[0], list):  # a label for each word
                gold, values = (list(chain.from_iterable(rows)) for rows in (gold, values))
            labels = task.labels or [str(i) for i in range(task.n_class)]
            figure = confusion_matrix_figure(gold, values, labels, title=dataset)
        elif picture == "scatter":
            pearson = METRICS.get("Pearson")(gold, values)
            figure = scatter_figure(gold, values, title=dataset, pearson=pearson)
        else:
            continue
        tracker.images(step, {f"{picture}/{dataset}": figure})


def log_best(tracker: Tracker, step: int, best: dict[str, Any], data: RunData) -> None:
    """Log the scores of the best model so far, the columns of the HPARAMS tab."""
    scores = {"best/average": best["average"]}
    for dataset, metrics in best["scores"].items():
        name = data.tasks[data.dev[dataset].manifest.task].metric_for_best
        scores[f"best/{dataset}/{name}"] = metrics[name]
    tracker.scalars(step, scores)


def log_final(tracker: Tracker, step: int, final: Mapping[str, Any]) -> None:
    """Log the test scores and losses of the best model.

    Args:
        step: the last update, so that the values are after all others.
        final: the content of scores.json.
    """
    scores: dict[str, Any] = {}
    for dataset in final["test"]:
        own = final["scores"][dataset]
        scores |= {f"test/{dataset}/{metric}": value for metric, value in own.items()}
        if dataset in final["losses"]:
            scores[f"test/{dataset}/loss"] = final["losses"][dataset]
    if scores:
        tracker.scalars(step, scores)
