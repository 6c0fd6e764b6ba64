"""Masked language modelling: what is stored, predicted and refused."""

from __future__ import annotations

import math

import pytest
import torch
from transformers import AutoTokenizer

from data_utils.collator import IGNORE, Batch
from data_utils.errors import UserError
from data_utils.formats import Row
from data_utils.registries import METRICS
from mt_dnn.config.run import ModelConfig
from mt_dnn.task_types import Prediction
from tests.support.encoders import tiny_encoder
from tests.support.masked_text import FORMAT, encode
from tests.support.tasks import make_kind, make_task
from tests.support.words import WORDS, tiny_tokenizer, vocabulary


def test_words_have_numbers_and_special_tokens_have_none(tokenizer):
    """``xyz`` is three sub-words of the tiny vocabulary; the snowman is [UNK]."""
    rows = encode(tokenizer, "good xyz \u2603 day")
    assert tokenizer.convert_ids_to_tokens(rows["input_ids"][0]) == [
        *("[CLS]", "good", "x", "##y", "##z", "[UNK]", "day", "[SEP]")
    ]
    assert rows["word_ids"][0].tolist() == [-1, 0, 1, 1, 1, -1, 3, -1]
    assert "labels" not in rows


def test_long_texts_go_on_in_the_next_window_and_lose_nothing(tokenizer):
    words = WORDS[100:120]
    rows = encode(tokenizer, " ".join(words), "good day", max_seq_len=8)
    assert rows["window"] == [0, 1, 2, 3, 0]
    assert rows["uid"] == ["0", "0", "0", "0", "1"]
    assert all(len(ids) <= 8 for ids in rows["input_ids"])
    tokens = [
        tokenizer.convert_ids_to_tokens(int(token))
        for ids, own in zip(rows["input_ids"][:4], rows["word_ids"][:4], strict=True)
        for token, word in zip(ids, own, strict=True)
        if word >= 0
    ]
    assert tokens == words


def test_blank_lines_part_a_text_into_paragraphs(tokenizer):
    rows = encode(tokenizer, "good day\n \n\nbad day\nagain\n", "a b")
    assert rows["window"] == [0, 1, 0]
    assert [tokenizer.decode(ids, skip_special_tokens=True) for ids in rows["input_ids"]] == [
        *("good day", "bad day again", "a b")
    ]


def test_an_empty_text_is_refused():
    with pytest.raises(UserError, match=r"rows:3: column 'text' is empty"):
        FORMAT.parse(Row({"uid": "0", "text": " \n\n"}, "rows:3"), make_task("MaskLM"))


def test_perplexity_and_accuracy_by_hand(tokenizer):
    """Two windows of one row and another row; p of the right id is 1/2, 1/4 and 1/8."""
    kind = make_kind("MaskLM", tokenizer)
    logits = torch.full((3, 2, 4), -1e9)
    logits[0, 0, :2] = 0.0  # 1/2, gold 0
    logits[1, 0, :4] = torch.tensor([0.1, 0.0, 0.0, 0.0])  # arg max 0
    logits[2, 0, :4] = torch.tensor([0.25, 0.5, 0.125, 0.125]).log()
    logits[2, 1, 3] = 0.0
    labels = torch.tensor([[0, IGNORE], [IGNORE, IGNORE], [2, 3]])
    batch = Batch("t", ["a", "a", "b"], torch.ones(3, 5), torch.ones(3, 5), labels=labels)
    first, second, third = kind.decode(logits, batch)
    merged = kind.merge([first, second])
    assert merged == Prediction("a", [0], (pytest.approx(math.log(2)), 1), [0])
    both = kind.merge([first, third])
    assert both == Prediction("a", [0, 1, 3], (pytest.approx(math.log(16)), 3), [0, 2, 3])
    assert third.value == [1, 3]
    assert third.gold == [2, 3]
    found = [merged, third]
    gold, value = [p.gold for p in found], [p.value for p in found]
    perplexity = METRICS.get("Perplexity")(gold, value, [p.scores for p in found])
    assert perplexity == pytest.approx(math.exp((math.log(2) + math.log(8) + 0.0) / 3))
    assert METRICS.get("ACC")(gold, value) == pytest.approx(200 / 3)
    assert kind.guess([[7, 8], [7]]) == [[7, 7], [7]]


def test_ids_are_read_as_tokens(tokenizer):
    ids = [vocabulary()[token] for token in ("good", "##y")]
    assert make_kind("MaskLM", tokenizer).in_words(ids) == ["good", "##y"]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"options": {"mask_probability": 1.0}},
            r"tasks.yml:1: task 't': options: mask_probability: 1.0",
        ),
        ({"options": {"mask_prob": 0.1}}, r"mask_prob.*Did you mean 'mask_probability'"),
        ({"labels": ("a", "b"), "n_class": 2}, "labels: MaskLM takes its labels from the text"),
    ],
)
def test_wrong_settings(keys, message):
    with pytest.raises(UserError, match=message):
        make_task("MaskLM", **keys)


def test_a_tokenizer_without_mask_token_is_refused_when_the_head_is_built(tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(tiny_tokenizer(tmp_path))
    tokenizer.mask_token = None
    kind = make_kind("MaskLM", tokenizer)
    with pytest.raises(
        UserError, match=r"tasks.yml:1: task 't': MaskLM needs a mask token.*t5 has none"
    ):
        kind.build_head(tiny_encoder("t5"), ModelConfig())
