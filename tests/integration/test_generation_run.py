"""Text to text: a tiny T5 learns to write label words and free texts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import transformers as hf
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

import mt_dnn
from tests.support.encoders import tiny_t5
from tests.support.runs import logged, predictions, run
from tests.support.words import WORDS

pytestmark = pytest.mark.usefixtures("no_pictures")

TASKS = """\
pair:
  data_format: PremiseAndOneHypothesis
  task_type: SequenceGeneration
  labels: [same, other]
  metric_meta: [ACC, F1]
answer:
  data_format: PremiseOnly
  task_type: SequenceGeneration
  metric_meta: [EM, AnswerF1]
  options: {max_target_len: 6}
"""


@pytest.fixture(scope="module")
def t5_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random T5 and a tokenizer of whole words, as a checkpoint has them."""
    folder = tmp_path_factory.mktemp("t5")
    tokens = ["<pad>", "</s>", "<unk>", *dict.fromkeys([*WORDS, "same", "other"])]
    words = Tokenizer(models.WordLevel({t: i for i, t in enumerate(tokens)}, unk_token="<unk>"))
    words.normalizer = normalizers.Lowercase()
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    hf.PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
    tiny_t5(folder, vocab_size=len(tokens), d_ff=64, dropout_rate=0.0)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("texts")
    (folder / "tasks.yml").write_text(TASKS)
    rows = {
        "pair": [
            f"p{i}\t{('same', 'other')[i % 2]}\t{WORDS[30 + i]} {WORDS[50 + i]}\t{WORDS[70 + i]}"
            for i in range(6)
        ],
        "answer": [f"a{i}\t{WORDS[90 + i]} {WORDS[110 - i]}\t{WORDS[130 + i]}" for i in range(6)],
    }
    for name, lines in rows.items():
        for split in ("train", "dev"):
            (folder / f"{name}_{split}.tsv").write_text("\n".join(lines) + "\n")
    return {
        "tasks": str(folder / "tasks.yml"),
        "data_dir": str(folder),
        "store_dir": str(folder / "store"),
    }


@pytest.mark.parametrize("name", ["pair", "answer"])
def test_it_overfits_saves_and_writes_the_same(tiny_config, t5_folder, data, name):
    trainer = run(
        tiny_config(
            data={**data, "use": (name,)},
            model={"encoder": str(t5_folder)},
            batch={"size": 6},
            optim={"lr": 5e-3, "weight_decay": 0.0},
            train={"epochs": 80, "max_steps": 80, "eval_every": 40, "log_every": 40},
        )
    )
    assert all(score == 100 for score in trainer.best["scores"][name].values())
    path = Path(trainer.config.data.data_dir, f"{name}_dev.tsv")
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    predictor = mt_dnn.load(trainer.run_dir)
    answers = predictor.predict(name, [tuple(row[2:]) for row in rows])
    assert [a.prediction for a in answers] == [row[1] for row in rows]
    written = predictions(trainer, name)
    assert [record["prediction"] for record in written] == [row[1] for row in rows]
    saved = json.loads((trainer.run_dir / "best" / "mt_dnn.json").read_text())
    assert saved["step"] in (40, 80)


def test_smart_acts_through_the_texts_tokens(tiny_config, t5_folder, data):
    trainer = run(
        tiny_config(
            data=data,
            model={"encoder": str(t5_folder)},
            smart="smart",
            smoothness={"epsilon": 1e-2, "step_size": 1.0, "sigma": 1e-2},
            train={"max_steps": 4, "eval_every": 4},
        )
    )
    for name in ("pair", "answer"):
        assert all(value > 0 for value in logged(trainer, f"train/{name}/smoothness").values())
        assert not any(logged(trainer, f"smart/{name}/dropped").values())
