"""Every kind of task that labels words, sets and choices: it overfits, saves, and predicts the same."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path

import pytest

import mt_dnn
from data_utils.metrics.answers import answer_tokens
from mt_dnn.inference.lines import Content, predict_lines
from tests.support.runs import logged, predictions, run
from tests.support.words import WORDS

pytestmark = pytest.mark.usefixtures("no_pictures")

TASKS = """\
words:
  data_format: Sequence
  task_type: SequenceLabeling
  labels: [O, B-x, I-x]
  metric_meta: [SeqEval, ACC]
topics:
  data_format: PremiseOnly
  task_type: MultiLabel
  labels: [sport, art, news]
  metric_meta: [F1MIC, F1MAC, ACC]
choice:
  data_format: PremiseAndMultiHypothesis
  task_type: MultipleChoice
  metric_meta: [ACC]
gap:
  data_format: ClozeChoice
  task_type: ClozeChoice
  metric_meta: [ReCoRDEM, ReCoRDF1]
san:
  data_format: PremiseAndOneHypothesis
  task_type: Classification
  labels: [same, other]
  metric_meta: [ACC]
  enable_san: true
san_number:
  data_format: PremiseAndOneHypothesis
  task_type: Regression
  n_class: 1
  metric_meta: [Pearson]
  enable_san: true
attention:
  data_format: PremiseAndOneHypothesis
  task_type: Classification
  labels: [same, other]
  metric_meta: [ACC]
  pooling: attention
"""
ROWS = 8


def task_rows(name: str) -> list[dict]:
    """Random texts under random labels: what a model that memorizes gets right."""
    rng = random.Random(name)

    def words(low: int = 3, high: int = 7) -> list[str]:
        return rng.choices(WORDS, k=rng.randint(low, high))

    rows = []
    for index in range(ROWS):
        text, other = " ".join(words()), " ".join(words())
        row: dict = {"uid": f"{name}-{index}"}
        if name == "words":
            tokens = words()
            inside = rng.randrange(len(tokens) - 1)
            label = ["O"] * len(tokens)
            label[inside : inside + 2] = ["B-x", "I-x"]
            row |= {"tokens": tokens, "label": label}
        elif name == "topics":
            labels = [label for label in ("sport", "art", "news") if rng.random() < 0.5]
            row |= {"premise": text, "label": labels}
        elif name in ("choice", "gap"):
            many = 2 + index % 3
            # Articles are no words of an answer: as in ReCoRD's script, their F1 is 0.
            names = rng.sample([word for word in WORDS if answer_tokens(word)], k=many)
            right = rng.randrange(many)
            row |= {"premise": text, "label": [int(i == right) for i in range(many)]}
            row["hypothesis"] = [f"{name} {other}" for name in names]
            if name == "gap":
                row |= {"choice": names, "answer": [names[right]]}
        elif name == "san_number":
            row |= {"premise": text, "hypothesis": other, "label": index % 5 / 2}
        else:
            row |= {"premise": text, "hypothesis": other, "label": ("same", "other")[index % 2]}
        rows.append(row)
    return rows


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder: Path = tmp_path_factory.mktemp("kinds")
    (folder / "tasks.yml").write_text(TASKS)
    for name in NAMES:
        lines = "".join(json.dumps(row) + "\n" for row in task_rows(name))
        for split in ("train", "dev"):
            (folder / f"{name}_{split}.jsonl").write_text(lines)
    return {
        "tasks": str(folder / "tasks.yml"),
        "data_dir": str(folder),
        "store_dir": str(folder / "store"),
    }


NAMES = [line[:-1] for line in TASKS.splitlines() if not line.startswith(" ")]


@pytest.mark.parametrize("name", NAMES)
def test_it_overfits_saves_and_predicts_the_same(tiny_config, still_encoder_folder, data, name):
    trainer = run(
        tiny_config(
            data={**data, "use": (name,)},
            model={"encoder": str(still_encoder_folder), "dropout": 0.0},
            batch={"size": 8},
            optim={"lr": 3e-3, "weight_decay": 0.0},
            train={"epochs": 90, "eval_every": 90, "log_every": 90},
        )
    )
    scores = trainer.best["scores"][name]
    assert all(score > 95 for score in scores.values()), scores
    assert trainer.best["baselines"][name][next(iter(scores))] < 95
    rows = [{k: v for k, v in r.items() if k not in ("label", "answer")} for r in task_rows(name)]
    answers = mt_dnn.load(trainer.run_dir).predict(name, rows)
    written = predictions(trainer, name)
    assert [record["uid"] for record in written] == [row["uid"] for row in rows]
    for answer, record in zip(answers, written, strict=True):
        if isinstance(answer.prediction, float):
            assert answer.prediction == pytest.approx(record["prediction"], abs=1e-4)
        else:
            assert answer.prediction == record["prediction"]
        assert answer.gold is None


@pytest.mark.parametrize("name", NAMES)
def test_smart_acts_through_its_divergence(tiny_config, data, name):
    trainer = run(
        tiny_config(
            data={**data, "use": (name,)},
            smart="smart",
            smoothness={"epsilon": 1e-2, "step_size": 1.0, "sigma": 1e-2},
            train={"max_steps": 4, "eval_every": 4},
        )
    )
    assert all(value > 0 for value in logged(trainer, f"train/{name}/smoothness").values())
    assert all(value > 0 for value in list(logged(trainer, f"train/{name}/proximal").values())[1:])
    assert not any(logged(trainer, f"smart/{name}/dropped").values())


def test_kinds_train_together_and_share_an_encoder(tiny_config, data):
    trainer = run(tiny_config(data=data, train={"epochs": 1}, smart="smart"))
    assert set(trainer.best["scores"]) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_its_logits_go_out_with_the_rows_own_labels(tiny_config, data, name):
    trainer = run(tiny_config(data={**data, "use": (name,)}, train={"max_steps": 1}))
    predictor = mt_dnn.load(trainer.run_dir)
    rows, written = task_rows(name), io.StringIO()
    predict_lines(
        predictor,
        predictor.task(name),
        [json.dumps(row) for row in rows],
        name="rows.jsonl",
        content=Content("logits"),
        write=written.write,
        batch_size=3,
        chunk=5,
    )
    records = [json.loads(line) for line in written.getvalue().splitlines()]
    assert [record["uid"] for record in records] == [row["uid"] for row in rows]
    assert [record["gold"] for record in records] == [row["label"] for row in rows]
    assert all(record["logits"] for record in records)
