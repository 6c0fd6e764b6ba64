"""Model -> predictions -> scores."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor

from data_utils.collator import Batch, collate
from data_utils.metrics import METRICS
from data_utils.store import TaskStore
from data_utils.task_def import TaskDef
from mt_dnn.model import MTDNN
from mt_dnn.randomness import dropout_off
from mt_dnn.task_types import Prediction


@dataclass
class Evaluation:
    """Predictions on one data set in its own order, and their scores (empty without labels)."""

    task: TaskDef
    predictions: list[Prediction]
    metrics: dict[str, Any]
    baseline: dict[str, float]
    """The scores of always saying the most frequent class, or the mean, of this data set."""


def ordered_batches(lengths: np.ndarray, size: int) -> list[list[int]]:
    """Indices in batches of like length, the longest first, so memory runs out at once or never."""
    order = np.argsort(-lengths, kind="stable")
    return [order[i : i + size].tolist() for i in range(0, len(order), size)]


@torch.inference_mode()
def forward_batches(
    model: MTDNN, batches: Iterable[Batch], accelerator: Accelerator
) -> Iterator[tuple[Batch, Tensor]]:
    """Each batch with its logits, both on the CPU; dropout off."""
    with dropout_off(model):
        for batch in batches:
            with accelerator.autocast():
                logits = model(batch.to(accelerator.device))
            yield batch, logits.float().cpu()


def evaluate(
    model: MTDNN, store: TaskStore, *, batch_size: int, accelerator: Accelerator
) -> Evaluation:
    """Predict one data set and score it; several processes share the work."""
    task = model.tasks[store.manifest.task]
    kind = model.task_types[task.name]
    chunks = ordered_batches(store.lengths, batch_size)
    chunks = chunks[accelerator.process_index :: accelerator.num_processes]
    batches = (collate(store, chunk) for chunk in chunks)
    found: list[tuple[int, Prediction]] = []
    for chunk, (batch, logits) in zip(
        chunks, forward_batches(model, batches, accelerator), strict=True
    ):
        found += zip(chunk, kind.decode(logits, batch), strict=True)
    found = gather_object(found)  # this process's alone where there is only one
    predictions = [prediction for _, prediction in sorted(found, key=lambda pair: pair[0])]
    return Evaluation(task, predictions, *score(task, predictions))


def score(task: TaskDef, predictions: list[Prediction]) -> tuple[dict[str, Any], dict[str, float]]:
    """The task's metrics of the predictions, and of a constant guess."""
    gold = [prediction.gold for prediction in predictions]
    if any(label is None for label in gold):
        return {}, {}
    values = [prediction.value for prediction in predictions]
    scores = [prediction.scores for prediction in predictions]
    metrics = {name: METRICS.get(name)(gold, values, scores) for name in task.metrics}
    return metrics, _baseline(task, gold)


def _baseline(task: TaskDef, gold: list[Any]) -> dict[str, float]:
    """Scores of the mean (float labels) or the most frequent label; correlations of it are 0."""
    flat = [x for label in gold for x in (label if isinstance(label, list) else [label])]
    is_float = isinstance(flat[0], float)
    guess = float(np.mean(flat)) if is_float else Counter(flat).most_common(1)[0][0]
    constant = [guess] * len(flat)
    metrics = {name: METRICS.get(name) for name in task.metrics}
    return {
        name: metric(flat, constant) if metric.constant is None else metric.constant
        for name, metric in metrics.items()
        if metric.is_number
    }


def average(evaluations: dict[str, Evaluation]) -> float | None:
    """Mean over tasks of metric_for_best, each task's data sets averaged first; greater is better.

    None where there is nothing scored.
    """
    per_task: dict[str, list[float]] = {}
    for evaluation in evaluations.values():
        task = evaluation.task
        if evaluation.metrics:
            sign = 1 if METRICS.get(task.metric_for_best).greater_is_better else -1
            value = sign * evaluation.metrics[task.metric_for_best]
            per_task.setdefault(task.name, []).append(value)
    return float(np.mean([np.mean(v) for v in per_task.values()])) if per_task else None


def prediction_record(task: TaskDef, prediction: Prediction) -> dict[str, Any]:
    """One line of a predictions file: uid, prediction, scores, and gold where there is one."""
    record = {
        "uid": prediction.uid,
        "prediction": task.decode_label(prediction.value),
        "scores": prediction.scores,
    }
    if prediction.gold is not None:
        record["gold"] = task.decode_label(prediction.gold)
    return record


def write_predictions(path: Path, evaluation: Evaluation) -> None:
    """JSON lines: uid, prediction (a label word where the task has words), scores, gold."""
    path.parent.mkdir(parents=True, exist_ok=True)
    task = evaluation.task
    with path.open("w", encoding="utf-8") as lines:
        for prediction in evaluation.predictions:
            record = prediction_record(task, prediction)
            lines.write(json.dumps(record, ensure_ascii=False) + "\n")
