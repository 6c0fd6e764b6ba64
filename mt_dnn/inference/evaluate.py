"""Model -> predictions -> scores."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

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
from mt_dnn.task_types import Prediction, TaskType

T = TypeVar("T")


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
        for index, batch in enumerate(batches):
            batch = model.task_types[batch.task].prepare(batch.to(accelerator.device), index)
            with accelerator.autocast():
                logits = model.infer(batch)
            yield batch.to("cpu"), logits.float().cpu()


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
    pieces = [prediction for _, prediction in sorted(found, key=lambda pair: pair[0])]
    groups = by_example(pieces, store.columns.get("window"))
    predictions = [kind.merge(group) for group in groups]
    return Evaluation(task, predictions, *score(kind, predictions))


def by_example(pieces: list[T], windows: Sequence[int] | None) -> list[list[T]]:
    """What belongs to one example each: ``windows`` counts from 0 in every example; None: all single."""
    if windows is None:
        return [[piece] for piece in pieces]
    groups: list[list[T]] = []
    for piece, window in zip(pieces, windows, strict=True):
        if window == 0:
            groups.append([])
        groups[-1].append(piece)
    return groups


def score(kind: TaskType, predictions: list[Prediction]) -> tuple[dict[str, Any], dict[str, float]]:
    """The task's metrics of the predictions, and of a constant guess."""
    gold = [prediction.gold for prediction in predictions]
    if any(label is None for label in gold):
        return {}, {}
    values = [prediction.value for prediction in predictions]
    scores = [prediction.scores for prediction in predictions]
    facts = {"labels": kind.task.labels, "uids": [prediction.uid for prediction in predictions]}
    metrics = {name: METRICS.get(name) for name in kind.task.metrics}
    guess = kind.guess(gold)
    found = {name: metric(gold, values, scores, **facts) for name, metric in metrics.items()}
    baseline = {
        name: metric(gold, guess, **facts) if metric.constant is None else metric.constant
        for name, metric in metrics.items()
        if metric.is_number and (metric.constant is not None or "scores" not in metric.needs)
    }
    return found, baseline


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


def prediction_record(kind: TaskType, prediction: Prediction) -> dict[str, Any]:
    """One line of a predictions file: uid, prediction, scores, and gold where there is one."""
    record = {
        "uid": prediction.uid,
        "prediction": kind.in_words(prediction.value),
        "scores": prediction.scores,
    }
    if prediction.gold is not None:
        record["gold"] = kind.in_words(prediction.gold)
    return record


def write_predictions(path: Path, kind: TaskType, evaluation: Evaluation) -> None:
    """JSON lines: uid, prediction (a label word where the task has words), scores, gold."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as lines:
        for prediction in evaluation.predictions:
            record = prediction_record(kind, prediction)
            lines.write(json.dumps(record, ensure_ascii=False) + "\n")
