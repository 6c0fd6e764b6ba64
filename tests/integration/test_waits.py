"""An update asks the device for nothing: shown on a CPU, for every task type, forward and backward."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mt_dnn.registries import TASK_TYPES
from mt_dnn.training.trainer import Trainer

pytestmark = pytest.mark.usefixtures("no_pictures")

A, B = "red green blue one two", "one blue red"
ROWS: dict[str, tuple[str, dict[str, Any], list[dict[str, Any]]]] = {
    "Classification": (
        "PremiseOnly",
        {"labels": ["x", "y"], "metric_meta": ["ACC"]},
        [{"premise": A, "label": "x"}, {"premise": B, "label": "y"}],
    ),
    "Regression": (
        "PremiseAndOneHypothesis",
        {"n_class": 1, "metric_meta": ["Pearson"]},
        [{"premise": t, "hypothesis": B, "label": n} for n, t in enumerate((A, B))],
    ),
    "MultiLabel": (
        "PremiseOnly",
        {"labels": ["x", "y", "z"], "metric_meta": ["F1MIC"]},
        [{"premise": A, "label": ["x"]}, {"premise": B, "label": ["y", "z"]}],
    ),
    "Ranking": (
        "PremiseAndMultiHypothesis",
        {"metric_meta": ["ACC"]},
        [
            {"premise": A, "hypothesis": [A, B], "label": [1, 0], "ruid": ["0", "1"]},
            {"premise": B, "hypothesis": [B, A, B], "label": [0, 0, 1], "ruid": ["2", "3", "4"]},
        ],
    ),
    "MultipleChoice": (
        "PremiseAndMultiHypothesis",
        {"metric_meta": ["ACC"]},
        [
            {"premise": A, "hypothesis": [A, B], "label": [1, 0]},
            {"premise": B, "hypothesis": [B, A, B], "label": [0, 0, 1]},
        ],
    ),
    "ClozeChoice": (
        "ClozeChoice",
        {"metric_meta": ["ReCoRDEM"]},
        [
            {"premise": A, "hypothesis": [A, B], "label": [1, 0], "choice": ["red", "one"]}
            | {"answer": ["red"]},
            {"premise": B, "hypothesis": [B, A], "label": [0, 1], "choice": ["red", "one"]}
            | {"answer": ["one"]},
        ],
    ),
    "HNN": (
        "PronounChoice",
        {"metric_meta": ["EM"]},
        [
            {"premise": f"red [it] {A}", "hypothesis": ["red green", "one"], "label": [1, 0]},
            {"premise": f"{B} [it]", "hypothesis": ["one", "blue", "red"], "label": [0, 0, 1]},
        ],
    ),
    "SequenceLabeling": (
        "Sequence",
        {"labels": ["O", "B-x", "I-x"], "metric_meta": ["SeqEval"]},
        [
            {"tokens": t.split(), "label": ["O", "B-x", *["O"] * (len(t.split()) - 2)]}
            for t in (A, B)
        ],
    ),
    "Span": (
        "MRC",
        {"metric_meta": ["EmF1"]},
        [
            {"document": f"red {A}", "question": B, "label": "0:::3:::0:::red"},
            {"document": f"blue {A}", "question": A, "label": "0:::4:::0:::blue"},
        ],
    ),
    "SpanYN": (
        "MRC",
        {"metric_meta": ["EmF12"]},
        [
            {"document": f"red {A}", "question": B, "label": "0:::3:::0:::red"},
            {"document": B, "question": A, "label": "-1:::-1:::1:::"},
        ],
    ),
    "MaskLM": (
        "MLM",
        {"metric_meta": ["Perplexity"]},
        [{"text": f"{A} {B}"}, {"text": A}],
    ),
}
WITH_DECODER = {"SequenceGeneration"}
"""Needs a text-to-text encoder: tests/integration/test_generation_run.py."""

WEIGHTED = ("Classification", "SequenceLabeling")
"""Types that are also trained with class weights and label smoothing."""

WAITING = {
    torch.ops.aten.nonzero.default,
    torch.ops.aten.masked_select.default,
    torch.ops.aten.masked_scatter_backward.default,
    torch.ops.aten._local_scalar_dense.default,
    torch.ops.aten._unique2.default,
    torch.ops.aten.equal.default,
    torch.ops.aten.repeat_interleave.Tensor,
}
"""On CUDA the host waits for their result: its shape or value depends on the data."""


class Watch(TorchDispatchMode):
    """Raise where an operator would make the host wait for the device."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func not in WAITING, f"{func} waits for the device"
        if func.overloadpacket in (torch.ops.aten.index, torch.ops.aten.index_put):
            indices = [index for index in args[1] if index is not None]
            assert all(index.dtype != torch.bool for index in indices), f"{func} by a bool mask"
        return func(*args, **(kwargs or {}))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder: Path = tmp_path_factory.mktemp("waits")
    tasks = {
        name.lower(): {"data_format": form, "task_type": name, **settings}
        for name, (form, settings, _) in ROWS.items()
    }
    for name in WEIGHTED:
        files = {split: f"{name.lower()}_{split}.jsonl" for split in ("train", "dev")}
        options = {"label_smoothing": 0.1, "class_weights": {ROWS[name][1]["labels"][1]: 2.0}}
        added = {"options": options, "source": {"files": files}}
        tasks[f"weighted_{name.lower()}"] = tasks[name.lower()] | added
    (folder / "tasks.yml").write_text(json.dumps(tasks))
    for name, (_, _, rows) in ROWS.items():
        lines = [json.dumps({"uid": str(i), **row}) + "\n" for i, row in enumerate(rows)]
        for split in ("train", "dev"):
            (folder / f"{name.lower()}_{split}.jsonl").write_text("".join(lines))
    names = {"tasks": "tasks.yml", "data_dir": "", "store_dir": "store"}
    return {key: str(folder / name) for key, name in names.items()}


def test_every_task_type_is_here():
    assert ROWS.keys() | WITH_DECODER == set(TASK_TYPES.names())


@pytest.mark.parametrize("name", [*ROWS, *(f"weighted_{name}" for name in WEIGHTED)])
def test_an_update_asks_the_device_for_nothing(tiny_config, data, name, monkeypatch):
    trainer = Trainer(
        tiny_config(data={**data, "use": (name.lower(),)}, smart="smart", batch={"size": 2})
    )
    (batch,) = next(trainer.updates())
    kind = trainer.model.task_types[batch.task]
    prepared = kind.prepare(batch, 1)  # on the host, whatever the device is
    monkeypatch.setattr(kind, "prepare", lambda batch, seed: prepared)
    with Watch():
        terms = trainer.objective(batch, seed=1, measure=True)
        terms.total.backward()
        trainer.nonfinite.note(1, batch, terms.total)
        trainer.objective.after_update(1, 2)


def test_a_question_would_be_noticed():
    scores = torch.ones(2, requires_grad=True)
    with Watch(), pytest.raises(AssertionError, match="masked_scatter"):
        torch.zeros(2).masked_scatter(torch.tensor([True, True]), scores).sum().backward()
