"""Speed of predictions from texts, compared with a bare loop and with the pipeline of transformers.

All programs have the same weights, texts and batch size, and return the label and the probabilities of each
row, in the order of the rows. The bare loop tokenizes all texts, sorts them by length, pads and runs the
batches. The pipeline takes the rows as they come. In bf16, our weights stay in float32 and the products
are computed in bf16, as in training; the other two have bf16 weights.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase, pipeline

from benchmarks.common import BenchmarkRow, Settings, compare, in_turn, isolated, run
from benchmarks.prepare import timed
from data_utils.cli import run_cli
from data_utils.errors import UserError
from data_utils.registries import FORMATS
from data_utils.sources import find_source
from mt_dnn.devices import choose_device
from mt_dnn.encoders.pretrained import load_tokenizer
from mt_dnn.inference.loop import Precision
from mt_dnn.inference.predictor import Predictor
from mt_dnn.model import MTDNN
from mt_dnn.publish.auto_model import build_auto_model
from mt_dnn.task_types import load_tasks

Texts = list[tuple[str, ...]]
"""One text for each row, or two for sentence pairs."""
Labels = list[tuple[Any, float]]
"""The label of each row, and its probability."""

TOLERANCE = {"fp32": 1e-3, "bf16": 5e-2}
"""Precision -> allowed difference of the probabilities of two programs."""


def measure(settings: Settings, scratch: Path) -> list[BenchmarkRow]:
    return [
        row
        for precision in settings.precisions()
        for row in isolated(measure_precision, settings, precision)
    ]


@torch.inference_mode()
def measure_precision(settings: Settings, precision: Precision) -> list[BenchmarkRow]:
    """Compare the speeds at one precision.

    Raises:
        UserError: the task has no rows.
    """
    device = choose_device(settings.device)
    torch.manual_seed(0)
    tasks = load_tasks(settings.tasks, [settings.task])
    model = MTDNN.from_pretrained(settings.encoder, tasks).to(device)
    tokenizer = load_tokenizer(settings.encoder)
    built = build_auto_model(model, settings.task)
    built.to(device=device, dtype=torch.bfloat16 if precision == "bf16" else torch.float32)  # type: ignore[call-arg]
    texts = read_texts(settings)
    programs: dict[str, Callable[[], Labels]] = {
        "ours": predictor(model, tokenizer, texts, settings, precision),
        "bare": bare_loop(built, tokenizer, texts, settings),
        "pipeline": hf_pipeline(built, tokenizer, texts, settings),
    }
    check_same({name: program() for name, program in programs.items()}, TOLERANCE[precision])
    took = in_turn({name: timed(program) for name, program in programs.items()}, settings.rounds)
    work = [float(len(texts))] * settings.rounds
    return [
        compare(
            f"predict {settings.task}, {precision}: mt_dnn / {name}",
            "rows/s",
            took["ours"],
            took[other],
            work=work,
        )
        for other, name in (("bare", "bare loop, by length"), ("pipeline", "HF pipeline"))
    ]


def read_texts(settings: Settings) -> Texts:
    """Read the first rows of the train split, as many as ``steps`` batches have."""
    task = load_tasks(settings.tasks)[settings.task]
    source = find_source(task, "train", settings.data_dir)
    if source is None:
        raise UserError(
            f"{settings.data_dir}/{task.name}_train.tsv does not exist; check --data_dir"
        )
    data_format = FORMATS.get(task.data_format)
    rows = islice(source.rows(), settings.steps * settings.batch_size)
    return [data_format.parse(row, task).texts for row in rows]


def predictor(
    model: MTDNN,
    tokenizer: PreTrainedTokenizerBase,
    texts: Texts,
    settings: Settings,
    precision: Precision,
) -> Callable[[], Labels]:
    ours = Predictor(model, tokenizer, settings.max_seq_len, precision)

    def predict() -> Labels:
        answers = ours.predict(settings.task, texts, settings.batch_size)
        return [(answer.prediction, answer.scores[answer.prediction]) for answer in answers]

    return predict


def bare_loop(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: Texts, settings: Settings
) -> Callable[[], Labels]:
    names: Any = model.config.id2label

    def predict() -> Labels:
        columns = [list(column) for column in zip(*texts, strict=True)]
        encoded = tokenizer(*columns, truncation=True, max_length=settings.max_seq_len)
        order = sorted(range(len(texts)), key=lambda i: -len(encoded["input_ids"][i]))
        found: dict[int, tuple[Any, float]] = {}
        for start in range(0, len(order), settings.batch_size):
            rows = order[start : start + settings.batch_size]
            batch = tokenizer.pad(
                {key: [encoded[key][i] for i in rows] for key in encoded}, return_tensors="pt"
            ).to(model.device)
            best = model(**batch).logits.float().softmax(-1).max(-1)
            pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
            found |= zip(rows, ((names[label], value) for label, value in pairs), strict=True)
        return [found[i] for i in range(len(texts))]

    return predict


def hf_pipeline(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: Texts, settings: Settings
) -> Callable[[], Labels]:
    classify: Any = pipeline("text-classification", model=model, tokenizer=tokenizer)  # type: ignore[call-overload]
    rows = [dict(zip(("text", "text_pair"), row, strict=False)) for row in texts]
    options = {"truncation": True, "max_length": settings.max_seq_len}

    def predict() -> Labels:
        found = classify(rows, batch_size=settings.batch_size, **options)
        return [(one["label"], one["score"]) for one in found]

    return predict


def check_same(found: dict[str, Labels], tolerance: float) -> None:
    """Check that all programs give the same probabilities."""
    ours = found["ours"]
    for labels in found.values():
        for (label, value), (other, theirs) in zip(ours, labels, strict=True):
            # The labels of a row may differ where both probabilities are about a half.
            assert abs(value - theirs) < tolerance, (label, value, other, theirs)


if __name__ == "__main__":
    run_cli(lambda: run([measure], prog="benchmarks.predict", description=__doc__))
