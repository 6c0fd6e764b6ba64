"""Evaluation: predictions on a data set and their scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import Accelerator

from data_utils import strict_json
from data_utils.encoded_rows import EncodedRows
from data_utils.files import atomic_file
from data_utils.registries import METRICS
from data_utils.store import StoreSubset, TaskStore
from data_utils.task_def import TaskDef
from mt_dnn.inference.answers import answer
from mt_dnn.inference.loop import Advance, map_batches
from mt_dnn.inference.losses import MeasuredLoss, mean_loss
from mt_dnn.model import MTDNN
from mt_dnn.task_types import Prediction, TaskType


@dataclass
class Evaluation:
    """Predictions on one data set, in the order of its rows, and their scores."""

    task: TaskDef
    predictions: list[Prediction]
    metrics: dict[str, Any]
    """Metric -> score; empty where the rows have no labels."""
    baseline: dict[str, float]
    """Metric -> score of a constant prediction (:meth:`TaskType.guess`); empty without labels."""
    loss: float | None = None
    """Mean supervised loss over the labelled units (:class:`mt_dnn.inference.losses.MeasuredLoss`); None
    without labels."""


def evaluate(
    model: MTDNN,
    store: TaskStore | StoreSubset,
    *,
    batch_size: int = 64,
    accelerator: Accelerator | None = None,
    advance: Advance | None = None,
) -> Evaluation:
    """Predict one data set and score it, without dropout and without gradient.

    The model's training mode is restored afterwards.

    Args:
        store: a data set, such as a value of :attr:`mt_dnn.runs.prepare.RunData.dev`.
        batch_size: examples in a batch. It changes scores by rounding only.
        accelerator: sets the device and the autocast precision; its processes share the batches.
            None: the model's device, without autocast.
        advance: called after each batch with the examples done and their total.

    Example:
        >>> from mt_dnn import MTDNN, RunConfig, prepare
        >>> from mt_dnn.inference.evaluate import evaluate
        >>> data = prepare(RunConfig())
        >>> model = MTDNN.from_pretrained("bert-base-uncased", data.tasks)
        >>> scores = {name: evaluate(model, store).metrics for name, store in data.dev.items()}
        >>> sorted(scores)
        ['rte', 'sst']
    """
    rows = EncodedRows.from_store(store)
    return evaluate_rows(
        model, rows, batch_size=batch_size, accelerator=accelerator, advance=advance
    )


def evaluate_rows(
    model: MTDNN,
    rows: EncodedRows,
    *,
    batch_size: int = 64,
    accelerator: Accelerator | None = None,
    advance: Advance | None = None,
) -> Evaluation:
    """As :func:`evaluate`, for rows that may be in memory."""
    task = model.tasks[rows.task]
    kind = model.task_types[task.name]
    measured = MeasuredLoss(model, kind)
    found = map_batches(
        model,
        rows,
        measured.forward,
        measured.read,
        batch_size=batch_size,
        prepare=kind.prepare,
        accelerator=accelerator,
        advance=advance,
    )
    predictions = [kind.merge([prediction for prediction, _ in row]) for row in found]
    loss = mean_loss(share for row in found for _, share in row)
    return Evaluation(task, predictions, *score(kind, predictions), loss)


def score(kind: TaskType, predictions: list[Prediction]) -> tuple[dict[str, Any], dict[str, float]]:
    """Compute the task's metrics for the predictions and for a constant prediction.

    Both are empty if any row has no label.
    """
    gold = [prediction.gold for prediction in predictions]
    if any(label is None for label in gold):
        return {}, {}
    values = [prediction.value for prediction in predictions]
    scores = [prediction.scores for prediction in predictions]
    facts: dict[str, Any] = {
        "labels": kind.task.labels,
        "uids": [prediction.uid for prediction in predictions],
        "options": kind.task.options,
    }
    metrics = {name: METRICS.get(name) for name in kind.task.metrics}
    guess = kind.guess(gold)
    confidence = None
    if any("scores" in metric.needs for metric in metrics.values()):
        confidence = [kind.confidence(v, s) for v, s in zip(values, scores, strict=True)]
    found = {
        name: metric(gold, values, scores, confidence=confidence, **facts)
        for name, metric in metrics.items()
    }
    baseline = {
        name: metric(gold, guess, **facts) if metric.constant is None else metric.constant
        for name, metric in metrics.items()
        if metric.is_number and (metric.constant is not None or "scores" not in metric.needs)
    }
    return found, baseline


def average_score(evaluations: Mapping[str, Evaluation]) -> float | None:
    """Average metric_for_best over tasks; see :func:`average_of`."""
    return average_of((e.task, e.metrics) for e in evaluations.values())


def average_of(scores: Iterable[tuple[TaskDef, Mapping[str, Any]]]) -> float | None:
    """Average metric_for_best over tasks; greater is better.

    The data sets of one task are averaged first. A metric where smaller is better counts negatively.
    None when no data set has scores.

    Args:
        scores: for each data set its task and its metrics.
    """
    per_task: dict[str, list[float]] = {}
    for task, metrics in scores:
        if metrics:
            sign = 1 if METRICS.get(task.metric_for_best).greater_is_better else -1
            per_task.setdefault(task.name, []).append(sign * metrics[task.metric_for_best])
    return float(np.mean([np.mean(v) for v in per_task.values()])) if per_task else None


def write_predictions(path: Path, kind: TaskType, evaluation: Evaluation) -> None:
    """Write JSON lines: :meth:`mt_dnn.inference.answers.Answer.record` of each prediction."""
    with atomic_file(path) as lines:
        for prediction in evaluation.predictions:
            lines.write(strict_json.dumps(answer(kind, prediction).record()) + "\n")
