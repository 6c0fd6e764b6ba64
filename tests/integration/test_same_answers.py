"""Evaluation and prediction of the same rows give the same values, for every task type."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
import transformers as hf

from mt_dnn.config.run import SystemConfig
from mt_dnn.devices import build_accelerator
from mt_dnn.inference.ensemble import Ensemble
from mt_dnn.inference.evaluate import evaluate
from mt_dnn.inference.predictor import Predictor
from mt_dnn.model import MTDNN
from mt_dnn.registries import TASK_TYPES
from mt_dnn.runs.prepare import RunData, prepare
from mt_dnn.task_types import Prediction
from tests.support.encoders import tiny_t5
from tests.support.words import WORDS, tiny_tokenizer, vocabulary

# In the order of TASK_TYPES.names(); each task is named after its type.
TASKS = """\
Classification: {data_format: PremiseAndOneHypothesis, task_type: Classification, labels: [a, b], metric_meta: [ACC]}
ClozeChoice: {data_format: ClozeChoice, task_type: ClozeChoice, metric_meta: [ReCoRDEM]}
HNN: {data_format: PronounChoice, task_type: HNN, metric_meta: [EM]}
MaskLM: {data_format: MLM, task_type: MaskLM, metric_meta: [Perplexity], max_seq_len: 8, options: {mask_probability: 0.4}}
MultiLabel: {data_format: PremiseOnly, task_type: MultiLabel, labels: [a, b, c], metric_meta: [F1MIC]}
MultipleChoice: {data_format: PremiseAndMultiHypothesis, task_type: MultipleChoice, metric_meta: [ACC]}
Ranking: {data_format: PremiseAndMultiHypothesis, task_type: Ranking, n_class: 2, metric_meta: [ACC]}
Regression: {data_format: PremiseAndOneHypothesis, task_type: Regression, n_class: 1, metric_meta: [Pearson]}
SequenceLabeling: {data_format: Sequence, task_type: SequenceLabeling, labels: [O, B-x], metric_meta: [ACC], max_seq_len: 8}
Span: {data_format: MRC, task_type: Span, n_class: 2, metric_meta: [EM], max_seq_len: 12, options: {stride: 2}}
SpanYN: {data_format: MRC, task_type: SpanYN, metric_meta: [EM], max_seq_len: 12, options: {stride: 2}}
"""
TEXT = """\
SequenceGeneration: {data_format: PremiseOnly, task_type: SequenceGeneration, metric_meta: [EM], options: {max_target_len: 4}}
"""
NAMES = [line.partition(":")[0] for line in (TASKS + TEXT).splitlines()]
SIZE = 3
"""Examples in a batch, of 8 rows at least: several batches, the last one not full."""


def task_rows(name: str) -> list[dict[str, Any]]:
    """Eight rows of unequal length with labels."""
    rng = random.Random(name)
    return [{"uid": f"u{i}"} | _row(name, i, rng) for i in range(8)]


def _row(name: str, index: int, rng: random.Random) -> dict[str, Any]:
    words = rng.sample(WORDS, k=rng.randint(3, 9))
    text, other = " ".join(words), rng.choice(WORDS)
    match name:
        case "MaskLM":
            return {"text": f"{text}\n\n{other} {text}"}
        case "SequenceLabeling":
            return {"tokens": words, "label": [rng.choice(["O", "B-x"]) for _ in words]}
        case "Span" | "SpanYN":
            end = len(words[0])
            return {
                "document": text,
                "question": other,
                "label": f"0:::{end}:::0:::{words[0]}",
            }
        case "ClozeChoice" | "MultipleChoice" | "Ranking":
            count = 2 + index % 3
            labels = [int(i == 0) for i in range(count)]
            choices = {
                "choice": words[:count] + words[:1] * (count - len(words)),
                "answer": [words[0]],
            }
            row = {"premise": text, "hypothesis": rng.sample(WORDS, k=count), "label": labels}
            return row | (choices if name == "ClozeChoice" else {})
        case "HNN":
            count = 2 + index % 3
            row = {"premise": " ".join([*words[:2], "[it]", *words[2:]])}
            labels = [int(i == index % count) for i in range(count)]
            return row | {"hypothesis": rng.sample(WORDS, k=count), "label": labels}
        case "MultiLabel":
            return {"premise": text, "label": rng.sample("abc", k=index % 4)}
        case "Regression":
            return {"premise": text, "hypothesis": other, "label": index / 2}
        case "SequenceGeneration":
            return {"premise": text, "label": other}
    return {"premise": text, "hypothesis": other, "label": "ab"[index % 2]}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "tasks.yml").write_text(TASKS)
    (folder / "text.yml").write_text(TEXT)
    for name in NAMES:
        lines = "".join(json.dumps(row) + "\n" for row in task_rows(name))
        for split in ("train", "dev"):
            (folder / f"{name}_{split}.jsonl").write_text(lines)
    return folder


@pytest.fixture(scope="module")
def t5_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random T5 that writes with the tiny tokenizer."""
    folder = tmp_path_factory.mktemp("t5")
    tiny_tokenizer(folder)
    hf.AutoTokenizer.from_pretrained(folder, eos_token="[SEP]").save_pretrained(folder)
    tiny_t5(folder, vocab_size=len(vocabulary()))
    return folder


class Parts(NamedTuple):
    data: RunData
    model: MTDNN


@pytest.fixture
def assembled(config_in, tmp_path, data, encoder_folder, t5_folder) -> Callable[[str], Parts]:
    """``assembled("Span")``: the untrained model of a task, in train mode, and its stores."""

    def build(name: str) -> Parts:
        writes = name == "SequenceGeneration"
        config = config_in(tmp_path)(
            data={
                "tasks": str(data / ("text.yml" if writes else "tasks.yml")),
                "data_dir": str(data),
                "store_dir": str(data / "store"),
                "use": (name,),
            },
            model={"encoder": str(t5_folder if writes else encoder_folder)},
        )
        prepared = prepare(config)
        model = MTDNN.from_pretrained(config.model.encoder, prepared.tasks)
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():  # else every row would have nearly the same answer
            for parameter in model.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
        return Parts(prepared, model.train())

    return build


def test_every_task_type_is_compared():
    assert sorted(NAMES) == sorted(TASK_TYPES.names())


@pytest.mark.parametrize("name", NAMES)
def test_evaluation_and_prediction_give_the_same_values(assembled, name):
    parts = assembled(name)
    store = parts.data.dev[name]
    accelerator = build_accelerator(SystemConfig(device="cpu"))
    evaluation = evaluate(parts.model, store, batch_size=SIZE, accelerator=accelerator)
    predictions = answers(parts.model, parts, name)
    assert predictions == evaluation.predictions
    assert [prediction.uid for prediction in predictions] == [f"u{i}" for i in range(8)]
    assert len({str(prediction.scores) for prediction in predictions}) > 1
    assert all(module.training for module in parts.model.modules())
    if name != "SequenceGeneration":  # an ensemble writes no texts
        twice = Ensemble([parts.model, parts.model], ["one", "two"])
        assert answers(twice, parts, name) == evaluation.predictions


def answers(model: MTDNN | Ensemble, parts: Parts, name: str) -> list[Prediction]:
    longest = parts.data.dev[name].manifest.max_seq_len
    return Predictor(model, parts.data.tokenizer, longest).decode(name, task_rows(name), SIZE)


def test_the_same_words_are_masked_in_every_pass_and_others_in_every_batch(assembled):
    parts = assembled("MaskLM")
    predictor = Predictor(parts.model, parts.data.tokenizer, 8)
    first, again = (predictor.decode("MaskLM", task_rows("MaskLM"), SIZE) for _ in range(2))
    assert first == again
    one = task_rows("MaskLM")[:1] * 2
    gold = [prediction.gold for prediction in predictor.decode("MaskLM", one, 2)]
    assert gold[0] != gold[1]


def test_embeddings_ignore_a_task_that_has_their_name(assembled, data, tmp_path):
    """Embeddings are of no task, also where the run has a task ``text`` that masks words."""
    parts = assembled("MaskLM")
    texts = ["a good film", "war"]
    expected = Predictor(parts.model, parts.data.tokenizer, 8).embeddings(texts)
    parts.model.tasks["text"] = parts.model.tasks["MaskLM"]
    parts.model.task_types["text"] = parts.model.task_types["MaskLM"]
    found = Predictor(parts.model, parts.data.tokenizer, 8).embeddings(texts)
    assert found.tolist() == expected.tolist()
