"""The rules of new-task for numbers, its split, and how it writes YAML."""

from __future__ import annotations

import pytest
import yaml

from mt_dnn.new_task import numbers, render
from mt_dnn.new_task.decision import Decision
from mt_dnn.new_task.encoder_facts import EncoderFacts, read_encoder
from mt_dnn.new_task.split import divide
from tests.support.encoders import tiny_encoder_folder


def encoder(parameters=22.7e6, positions=512, sentences=False) -> EncoderFacts:
    return EncoderFacts("x", int(parameters), positions, sentences)


def test_the_length_covers_99_percent_of_the_rows():
    lengths = [20] * 99 + [400]
    assert numbers.max_seq_len(lengths, encoder()).value == 24
    assert "1 of 100 are truncated" in numbers.max_seq_len(lengths, encoder()).reason
    assert numbers.max_seq_len([400] * 100, encoder()).value == 400
    long = numbers.max_seq_len([600] * 100, encoder(positions=256))
    assert (long.value, long.unsure) == (256, True)
    assert numbers.max_seq_len([3], encoder(positions=None)).value == 16


@pytest.mark.parametrize(("size", "rate"), [(22e6, 1e-4), (110e6, 3e-5), (340e6, 1e-5)])
def test_larger_encoders_have_smaller_rates(size, rate):
    assert numbers.learning_rate(encoder(size)).value == rate
    assert numbers.head_learning_rate(encoder(size)).value == pytest.approx(10 * rate)


def test_pooling_follows_what_the_encoder_was_trained_for():
    found = [
        numbers.pooling(encoder(sentences=sentences), texts=texts).value
        for sentences in (True, False)
        for texts in (1, 2)
    ]
    assert found == ["mean", "pair", "cls", "cls"]


def test_fewer_rows_have_more_epochs():
    counts = [numbers.epochs(rows).value for rows in (100, 500, 3000, 10**5)]
    assert counts == sorted(counts, reverse=True)
    assert len(set(counts)) == 4
    assert "192 updates" in numbers.epochs(500).reason
    assert [numbers.epochs(rows).unsure for rows in (400, 401)] == [True, False]


def test_an_encoder_is_measured_without_its_weights(tmp_path):
    tiny_encoder_folder(tmp_path / "encoder")
    (tmp_path / "encoder" / "model.safetensors").unlink()
    facts = read_encoder(str(tmp_path / "encoder"))
    assert facts.parameters > 1000
    assert (facts.positions, facts.is_sentence_encoder) == (128, False)
    (tmp_path / "encoder" / "modules.json").write_text("[]")
    assert read_encoder(str(tmp_path / "encoder")).is_sentence_encoder


def test_the_split_is_seeded_stratified_and_keeps_copies_together():
    texts = [[f"text {i // 2}"] for i in range(200)]
    labels = ["rare" if i < 20 else "common" for i in range(200)]
    train, dev, drawn = divide(texts, labels, seed=1)
    assert sorted(train + dev) == list(range(200))
    assert sum(labels[i] == "rare" for i in dev) == 4
    assert drawn.value == len(dev) == 40
    assert not {texts[i][0] for i in train} & {texts[i][0] for i in dev}
    assert divide(texts, labels, seed=1)[:2] == (train, dev)
    assert divide(texts, labels, seed=2)[1] != dev
    assert divide([["a"], ["b"]], ["x", "y"], seed=1)[1] == []
    assert len(divide([[str(i)] for i in range(20_000)], None, seed=1)[1]) == 1000


def test_yaml_with_reasons_reads_back():
    values = {"a": ["no", "0", "x: y"], "b": 1e-4, "c": 0.5, "d": {"z": "ä", "a": None}, "e": "#x"}
    keys = {
        key: Decision(value, "why " * 40, unsure=key == "a", alternatives=("a: other    # why",))
        for key, value in values.items()
    }
    text = render.section("top", keys | {"left_out": None})
    assert yaml.safe_load(text) == {"top": values}
    assert "  # UNSURE: why" in text
    assert "  # a: other    # why" in text
    assert all(len(line) <= 120 for line in text.splitlines())
    assert "  z: 1.0e-5    # w" in render.section("t", {"z": Decision(1e-5, "w")})
