"""A masked language model, plain and beside another task: it learns, saves, and predicts the same."""

from __future__ import annotations

import json
import math
import random
import warnings
from pathlib import Path

import pytest
from safetensors.torch import load_file

import mt_dnn
from tests.support.runs import logged, predictions, run
from tests.support.words import WORDS, vocabulary

pytestmark = pytest.mark.usefixtures("no_pictures")

TASKS = """\
mlm:
  data_format: MLM
  task_type: MaskLM
  metric_meta: [Perplexity, ACC]
  options: {mask_probability: 0.3, whole_word: true}
topic:
  data_format: PremiseOnly
  task_type: Classification
  labels: [a, b]
  metric_meta: [ACC]
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Texts of two words that take turns: the neighbours tell what is hidden."""
    folder = tmp_path_factory.mktemp("mlm")
    (folder / "tasks.yml").write_text(TASKS)
    rng = random.Random(1)
    pairs = [rng.sample(WORDS[:40], k=2) for _ in range(8)]
    texts = [" ".join(pair * 5) for pair in pairs]
    texts[0] += "\n\n" + texts[1]  # two paragraphs: two windows
    rows = {
        "mlm": [{"uid": f"m{i}", "text": text} for i, text in enumerate(texts)],
        "topic": [
            {"uid": f"t{i}", "premise": text, "label": "ab"[i % 2]} for i, text in enumerate(texts)
        ],
    }
    for name, own in rows.items():
        for split in ("train", "dev"):
            lines = "".join(json.dumps(row) + "\n" for row in own)
            (folder / f"{name}_{split}.jsonl").write_text(lines)
    return {
        "tasks": str(folder / "tasks.yml"),
        "data_dir": str(folder),
        "store_dir": str(folder / "store"),
    }


def test_it_learns_saves_and_predicts_the_same(tiny_config, still_encoder_folder, data):
    trainer = run(
        tiny_config(
            data={**data, "use": ("mlm",)},
            model={"encoder": str(still_encoder_folder)},
            batch={"size": 9, "eval_size": 64},
            optim={"lr": 5e-3, "weight_decay": 0.0},
            train={"epochs": 150, "max_steps": 150, "eval_every": 150, "log_every": 1},
        )
    )
    scores = trainer.best["scores"]["mlm"]
    losses = list(logged(trainer, "train/mlm/loss").values())
    assert losses[0] == pytest.approx(math.log(len(vocabulary())), rel=0.1)  # a guess
    assert scores["Perplexity"] < 2.5
    assert scores["ACC"] > 90
    assert trainer.best["baselines"]["mlm"]["ACC"] < 50
    heads = load_file(trainer.run_dir / "best" / "heads.safetensors")
    assert all(tensor.ndim == 1 or tensor.shape == (32, 32) for tensor in heads.values())
    written = predictions(trainer, "mlm")
    assert [record["uid"] for record in written] == [f"m{i}" for i in range(8)]
    assert len(written[0]["gold"]) == written[0]["scores"]["tokens"] > 0
    lines = (Path(data["data_dir"]) / "mlm_dev.jsonl").read_text().splitlines()
    answers = mt_dnn.load(trainer.run_dir).predict("mlm", map(json.loads, lines))
    for answer, record in zip(answers, written, strict=True):
        assert answer.prediction == record["prediction"]
        assert answer.gold == record["gold"]
        assert answer.scores == pytest.approx(record["scores"], abs=1e-3)


def test_alum_is_the_smoothness_term_of_a_language_model(tiny_config, data):
    trainer = run(
        tiny_config(
            data={**data, "use": ("mlm",)},
            smart="smart",
            smoothness={"epsilon": 1e-2, "step_size": 1.0, "sigma": 1e-2, "weight": 1.0},
            batch={"size": 9},
            optim={"lr": 5e-3},
            train={"epochs": 30, "max_steps": 30, "eval_every": 30},
        )
    )
    smoothness = list(logged(trainer, "train/mlm/smoothness").values())
    assert len(smoothness) == 30
    assert all(math.isfinite(value) and value > 0 for value in smoothness)
    assert all(value > 0 for value in list(logged(trainer, "train/mlm/proximal").values())[1:])
    assert not any(logged(trainer, "smart/mlm/dropped").values())
    losses = list(logged(trainer, "train/mlm/loss").values())
    assert sum(losses[-3:]) < 0.8 * sum(losses[:3])


def test_a_language_model_beside_a_task_shares_its_encoder(tiny_config, data):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        trainer = run(tiny_config(data=data, smart="smart", train={"epochs": 1}))
    assert set(trainer.best["scores"]) == {"mlm", "topic"}
