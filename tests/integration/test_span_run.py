"""Questions about documents of several windows: a run overfits, saves, and answers the same."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import pytest

import mt_dnn
from data_utils.store import TaskStore
from tests.support.runs import copy_workspace, logged, predictions, run
from tests.support.words import WORDS

pytestmark = pytest.mark.usefixtures("no_pictures")

TASKS = """\
find:
  data_format: MRC
  task_type: Span
  n_class: 2
  metric_meta: [EmF1, EM]
  options: {stride: 8}
find_or_not:
  data_format: MRC
  task_type: SpanYN
  metric_meta: [EmF12, EM]
  options: {stride: 8}
"""
SETTINGS = {
    "batch": {"size": 8},
    "optim": {"lr": 3e-3, "weight_decay": 0.0},
    "train": {"epochs": 50, "max_steps": 100, "eval_every": 100, "log_every": 50},
}


def task_rows(name: str) -> list[tuple[str, str, str, str]]:
    """Documents of 40 random words; the answer is one or two of them, in ``find_or_not`` or none."""
    rng = random.Random(name)
    spoken = [word for word in WORDS if word not in ("a", "an", "the")]  # which scores leave out
    rows = []
    for index in range(8):
        words = rng.sample(spoken, k=40)
        begin = rng.randrange(38)
        answer = " ".join(words[begin : begin + 1 + index % 2])
        start = len(" ".join([*words[:begin], ""]))
        label = f"{start}:::{start + len(answer)}:::0:::{answer}:::another"
        if name == "find_or_not" and index % 4 == 3:
            label = "-1:::-1:::1:::"
        rows.append((f"{name}-{index}", label, " ".join(words), " ".join(rng.sample(WORDS, k=3))))
    return rows


@pytest.fixture
def data(workspace: Path, tmp_path: Path) -> dict:
    paths = copy_workspace(workspace, tmp_path / "data", tasks=TASKS)
    for name in ("find", "find_or_not"):
        lines = "".join("\t".join(row) + "\n" for row in task_rows(name))
        for split in ("train", "dev"):
            (tmp_path / "data" / f"{name}_{split}.tsv").write_text(lines)
    return paths | {"max_seq_len": 32}


@pytest.mark.parametrize("name", ["find", "find_or_not"])
def test_it_overfits_saves_and_answers_the_same(tiny_config, still_encoder_folder, data, name):
    model = {"encoder": str(still_encoder_folder), "dropout": 0.0}
    trainer = run(tiny_config(data={**data, "use": (name,)}, model=model, **SETTINGS))
    rows = task_rows(name)
    store = TaskStore(Path(data["store_dir"]) / f"{name}_dev")
    assert len(store) > store.manifest.examples == len(rows)
    assert store.lengths.max() == 32
    assert all(value == 100 for value in trainer.best["scores"][name].values())
    written = predictions(trainer, name)
    assert [record["uid"] for record in written] == [row[0] for row in rows]
    for record, (_, label, document, _) in zip(written, rows, strict=True):
        texts = label.split(":::")[3:]
        assert record["gold"] == [text for text in texts if text]
        assert record["prediction"] == texts[0]
        assert all(text in document for text, _ in record["scores"]["n_best"])
    predictor = mt_dnn.load(trainer.run_dir)
    questions = [(document, question) for _, _, document, question in rows]
    answers = predictor.predict(name, questions)
    assert [answer.prediction for answer in answers] == [record["prediction"] for record in written]
    for answer, record in zip(answers, written, strict=True):
        for key in ("score", "null"):
            assert answer.scores[key] == pytest.approx(record["scores"][key], abs=1e-3)
        assert answer.gold is None
    tokens = [len(logits) for logits in predictor.logits(name, questions)]
    assert sum(tokens) == store.lengths.sum()
    json.dumps([answer.scores for answer in answers], allow_nan=False)


def test_smart_acts_through_its_divergence(tiny_config, data):
    trainer = run(tiny_config(data=data, smart="smart", train={"max_steps": 8, "eval_every": 8}))
    for name in ("find", "find_or_not"):
        for term in ("loss", "smoothness", "proximal"):
            values = list(logged(trainer, f"train/{name}/{term}").values())
            assert values
            assert all(map(math.isfinite, values))
        assert any(logged(trainer, f"train/{name}/smoothness").values())
        assert not any(logged(trainer, f"smart/{name}/dropped").values())
