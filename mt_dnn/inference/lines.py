"""Inference on the lines of a file or a pipe, written as JSON lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Literal

import numpy as np

from data_utils import strict_json
from data_utils.errors import UserError
from data_utils.formats import Row
from data_utils.inputs import read_rows
from data_utils.registry import choices_hint
from data_utils.task_def import TaskDef
from mt_dnn.inference.evaluate import prediction_record, score
from mt_dnn.inference.predictor import TEXT, Predictor
from mt_dnn.task_types import Prediction, TaskType, load_tasks

What = Literal["predictions", "logits", "embeddings"]


def choose_task(
    predictor: Predictor, name: str | None, what: What, task_file: str | None
) -> TaskDef:
    """The task that defines the rows: the named one, or the only one of the run.

    Embeddings belong to no task; their rows are single texts.

    Args:
        task_file: a task file to take the named task from; None: the run's own tasks.

    Raises:
        UserError: there is no such task, or no name is given and the run has several tasks.
    """
    if what == "embeddings":
        if name is not None or task_file is not None:
            raise UserError(
                "embeddings are computed from single texts, without a task; leave --task out"
            )
        return TEXT
    if task_file is not None:
        names = [] if name is None else [name]
        tasks = load_tasks(task_file, names, where=f"--task: {task_file}")
        if len(tasks) > 1:
            raise UserError(f"--task: name a task of {task_file}.{choices_hint('', tasks)}")
        (task,) = tasks.values()
        predictor.add_task(task)
        return task
    if name is None and len(predictor.tasks) > 1:
        raise UserError(f"--task: name a task.{choices_hint('', predictor.tasks)}")
    return predictor.task(name or next(iter(predictor.tasks)))


def predict_lines(
    predictor: Predictor,
    task: TaskDef,
    lines: Iterable[str],
    *,
    name: str,
    what: What,
    write: Callable[[str], Any],
    batch_size: int,
    chunk: int,
) -> list[Prediction]:
    """Write one JSON line per row, ``chunk`` rows at a time, in the order of the rows.

    Args:
        name: the input's name in messages. The suffix .jsonl selects JSON lines.
        chunk: rows to read before the next lines are written. A larger chunk needs less padding.

    Returns:
        The predictions of rows with labels.

    Raises:
        UserError: a malformed row, or no rows. The chunks before it have been written.
    """
    scored: list[Prediction] = []
    rows = read_rows(lines, name=name, task=task)
    while group := list(islice(rows, chunk)):
        records = _RECORDS[what](predictor, task, group, batch_size, scored)
        write("".join(strict_json.dumps(record) + "\n" for record in records))
    return scored


def metrics_line(kind: TaskType, scored: list[Prediction]) -> str:
    """The scores in one line, such as ``rte: ACC 71.84, 277 labelled rows``."""
    metrics, _ = score(kind, scored)
    values = [
        f"{name} {value:.2f}" if isinstance(value, float) else f"{name} {value}"
        for name, value in metrics.items()
    ]
    return f"{kind.task.name}: {', '.join(values)}, {len(scored)} labelled rows"


def _predictions(
    predictor: Predictor,
    task: TaskDef,
    rows: list[Row],
    batch_size: int,
    scored: list[Prediction],
) -> Iterator[dict[str, Any]]:
    predictions = predictor.decode(task.name, rows, batch_size)
    scored += (p for p in predictions if p.gold is not None)
    kind = predictor.model.task_types[task.name]
    return (prediction_record(kind, prediction) for prediction in predictions)


def _logits(
    predictor: Predictor, task: TaskDef, rows: list[Row], batch_size: int, _: list[Prediction]
) -> Iterator[dict[str, Any]]:
    examples = predictor.examples(task.name, rows)
    logits = predictor.logits(task.name, examples, batch_size)
    for row, example, values in zip(rows, examples, logits, strict=True):
        # Classes and numbers are decoded. Other labels are copied from the row, because the example
        # holds them as training needs them, for instance 0 or 1 for each label.
        label = row.values.get("label")
        if type(example.label) in (int, float):
            label = task.decode_label(example.label)
        gold = {} if example.label is None or label in (None, "") else {"gold": label}
        yield {"uid": example.uid, "logits": _listed(values)} | gold


def _listed(logits: np.ndarray) -> list[Any]:
    """Nested lists for JSON, with null for a row of NaN: a word beyond the maximum length."""
    if logits.ndim == 1:
        return logits.tolist()
    return [None if np.isnan(row).all() else row.tolist() for row in logits]


def _embeddings(
    predictor: Predictor, _: TaskDef, rows: list[Row], batch_size: int, __: list[Prediction]
) -> Iterator[dict[str, Any]]:
    embeddings = predictor.embeddings(rows, batch_size=batch_size)
    for row, values in zip(rows, embeddings, strict=True):
        yield {"uid": row.text("uid"), "embedding": values.tolist()}


_RECORDS = {"predictions": _predictions, "logits": _logits, "embeddings": _embeddings}
