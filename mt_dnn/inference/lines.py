"""Inference on the lines of a file or a pipe, written as JSON lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import numpy as np

from data_utils import strict_json
from data_utils.errors import UserError
from data_utils.formats import Row
from data_utils.inputs import named_texts, read_rows
from data_utils.registry import choices_hint
from data_utils.task_def import TaskDef
from data_utils.text_rows import TEXT, parse_texts, read_texts
from mt_dnn.inference.answers import answer
from mt_dnn.inference.embeddings import Pooling
from mt_dnn.inference.evaluate import score
from mt_dnn.inference.predictor import Predictor
from mt_dnn.task_types import Prediction, TaskType, load_tasks

What = Literal["predictions", "logits", "embeddings"]


@dataclass(frozen=True)
class Content:
    """What the output lines contain."""

    what: What = "predictions"
    text: bool = False
    """Whether each line has the texts of its row."""
    layer: int | None = None
    """Layer of embeddings; None is the last."""
    tokens: bool = False
    """Whether embeddings are those of the tokens, not one vector for each row."""
    pooling: Pooling | None = None
    """Pooling of embeddings; None is the mean."""

    def __post_init__(self) -> None:
        """Check that the settings fit each other.

        Raises:
            UserError: they do not.
        """
        for flag, is_set in (
            ("layer", self.layer is not None),
            ("tokens", self.tokens),
            ("pooling", self.pooling is not None),
        ):
            if is_set and self.what != "embeddings":
                raise UserError(
                    f"--{flag} applies to --what embeddings only; {self.what} have none"
                )
        if self.tokens and self.pooling is not None:
            raise UserError("--pooling reduces a row to one vector; leave it out with --tokens")


def choose_task(
    predictor: Predictor, name: str | None, what: What, task_file: str | None
) -> TaskDef:
    """Return the task that defines the rows: the named one, or the only one of the run.

    Embeddings belong to no task; their rows are texts, pairs or lists of words.

    Args:
        task_file: a task file to take the named task from; None: the run's own tasks.

    Raises:
        UserError: there is no such task, or no name is given and the run has several tasks.
    """
    if what == "embeddings":
        if name is not None or task_file is not None:
            raise UserError(
                "embeddings are computed by the shared encoder, without a task; leave --task out"
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
    content: Content,
    write: Callable[[str], Any],
    batch_size: int,
    chunk: int,
    columns: Mapping[str, str] | None = None,
) -> list[Prediction]:
    """Write one JSON line per row, ``chunk`` rows at a time, in the order of the rows.

    Args:
        name: the input's name in messages. The suffix .jsonl selects JSON lines.
        content: what to write.
        chunk: rows to read before the next lines are written. A larger chunk needs less padding.
        columns: our column name -> name in the file; see :func:`data_utils.inputs.read_rows`.

    Returns:
        The predictions of rows with labels.

    Raises:
        UserError: a malformed row, or no rows. The chunks before it have been written.
    """
    scored: list[Prediction] = []
    is_text = content.what == "embeddings"
    rows = (
        read_texts(lines, name=name)
        if is_text
        else read_rows(lines, name=name, task=task, columns=columns)
    )
    while group := list(islice(rows, chunk)):
        if is_text:
            records = _embeddings(predictor, group, batch_size, content)
        elif content.what == "logits":
            records = _logits(predictor, task, group, batch_size, content)
        else:
            records = _predictions(predictor, task, group, batch_size, content, scored)
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
    content: Content,
    scored: list[Prediction],
) -> Iterator[dict[str, Any]]:
    examples = predictor.examples(task.name, rows)
    predictions = predictor.decode(task.name, examples, batch_size)
    scored += (p for p in predictions if p.gold is not None)
    kind = predictor.model.task_types[task.name]
    for example, prediction in zip(examples, predictions, strict=True):
        text = named_texts(example, task) if content.text else None
        yield answer(kind, prediction, text).record()


def _logits(
    predictor: Predictor, task: TaskDef, rows: list[Row], batch_size: int, content: Content
) -> Iterator[dict[str, Any]]:
    examples = predictor.examples(task.name, rows)
    logits = predictor.logits(task.name, examples, batch_size)
    for row, example, values in zip(rows, examples, logits, strict=True):
        # Classes and numbers are decoded. Other labels are copied from the row, because the example
        # holds them as training needs them, for instance 0 or 1 for each label.
        label = row.values.get("label")
        if type(example.label) in (int, float):
            label = task.decode_label(example.label)
        record: dict[str, Any] = {"uid": example.uid, "logits": _listed(values)}
        if example.label is not None and label not in (None, ""):
            record["gold"] = label
        if content.text:
            record["text"] = named_texts(example, task)
        yield record


def _listed(logits: np.ndarray) -> list[Any]:
    """Nested lists for JSON, with null for a row of NaN: a word beyond the maximum length."""
    if logits.ndim == 1:
        return logits.tolist()
    return [None if np.isnan(row).all() else row.tolist() for row in logits]


def _embeddings(
    predictor: Predictor, rows: list[Row], batch_size: int, content: Content
) -> Iterator[dict[str, Any]]:
    layer = -1 if content.layer is None else content.layer
    records: Iterable[dict[str, Any]]
    if content.tokens:
        records = (
            {"tokens": own.tokens, "offsets": own.offsets, "embedding": own.vectors.tolist()}
            for own in predictor.token_embeddings(rows, batch_size, layer=layer)
        )
    else:
        vectors = predictor.embeddings(rows, content.pooling or "mean", batch_size, layer=layer)
        records = ({"embedding": own.tolist()} for own in vectors)
    for row, record in zip(rows, records, strict=True):
        record = {"uid": row.text("uid")} | record
        if content.text:
            ((task, example),) = parse_texts([row])
            record["text"] = named_texts(example, task)
        yield record
