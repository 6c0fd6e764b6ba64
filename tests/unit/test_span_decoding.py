"""The search for the best span in one window, and the best answer of several."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import Tensor

from mt_dnn.inference.evaluate import score
from mt_dnn.inference.loop import by_row
from mt_dnn.task_types.span_decoding import best_spans, distinct
from tests.support.spans import QUESTION, answer, make_span, peaks, windows

INF, NAN = float("inf"), float("nan")


def by_brute_force(logits: Tensor, allowed: Tensor, n_best: int, max_answer_len: int) -> list:
    found = [
        ((logits[i, 0] + logits[j, 1]).item(), i, j)
        for i in range(len(logits))
        for j in range(i, min(i + max_answer_len, len(logits)))
        if allowed[i] and allowed[j]
    ]
    return sorted(found, reverse=True)[:n_best]


@pytest.mark.parametrize(
    ("n_best", "max_answer_len"), [(1, 30), (20, 30), (20, 1), (7, 3), (500, 5)]
)
def test_best_spans_are_those_of_brute_force(n_best, max_answer_len):
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(8, 17, 2, generator=generator)
    allowed = torch.rand(8, 17, generator=generator) < 0.7
    logits[~allowed] = torch.tensor(NAN)
    found = best_spans(logits, allowed, n_best=n_best, max_answer_len=max_answer_len)
    for row, (scores, first, last) in enumerate(
        zip(*(part.tolist() for part in found), strict=True)
    ):
        spans = [span for span in zip(scores, first, last, strict=True) if span[0] > -INF]
        expected = by_brute_force(logits[row], allowed[row], n_best, max_answer_len)
        assert [span[1:] for span in spans] == [span[1:] for span in expected]
        assert [span[0] for span in spans] == pytest.approx([span[0] for span in expected])


def test_the_best_texts_of_a_window_are_those_of_brute_force():
    rng = random.Random(0)
    words = ["one", "two", "three", "four", "five", "six", "seven"]
    batch = windows(*(" ".join(words[: rng.randint(1, 7)]) for _ in range(10)), room=3)
    logits = torch.randn(*batch.input_ids.shape, 2, generator=torch.Generator().manual_seed(2))
    for prediction, passage, row in zip(
        make_span(options={"max_answer_len": 3}).decode(logits, batch),
        batch.extras["passage"],
        logits,
        strict=True,
    ):
        own = row[QUESTION : QUESTION + len(passage.split())]
        expected = [
            (" ".join(passage.split()[i : j + 1]), value)
            for value, i, j in by_brute_force(own, torch.ones(len(own)), 5, 3)
        ]
        assert prediction.value == expected[0][0]
        found = prediction.scores["n_best"]
        assert [text for text, _ in found] == [text for text, _ in expected]
        assert [value for _, value in found] == pytest.approx([value for _, value in expected])
        assert prediction.scores["score"] == found[0][1]
        assert prediction.scores["null"] == pytest.approx(row[0].sum().item())


def test_only_the_document_is_answered_with():
    """The question, [SEP], [CLS] and padding are likelier than anything else."""
    batch = windows("one two", "three", room=1)
    logits = torch.zeros(*batch.input_ids.shape, 2)
    logits[:, :QUESTION] = 100.0
    logits[0, 4:] = logits[1, 3:] = 100.0
    logits[:, -1] = NAN
    logits[0, 3] = 1.0
    kind = make_span()
    assert [p.value for p in kind.decode(logits, batch)] == ["two", "three"]
    found = [text for text, _ in kind.decode(logits, batch)[0].scores["n_best"]]
    assert found == ["two", "one two", "one"]


def test_the_longest_answer():
    batch = windows("a b c d e")
    logits = peaks(batch, (1, 3, 20.0))
    assert answer(make_span(options={"max_answer_len": 3}), logits, batch).value == "b c d"
    shorter = answer(make_span(options={"max_answer_len": 2}), logits, batch)
    assert max(len(text.split()) for text, _ in shorter.scores["n_best"]) == 2
    assert shorter.scores["score"] == 0.0  # 10 of the one peak, -10 of what stands beside it


def test_an_answer_does_not_end_before_it_begins():
    batch = windows("a b c d e")
    logits = peaks(batch, (3, 1, 20.0))
    kept = {text for text, _ in answer(make_span(), logits, batch).scores["n_best"]}
    assert all(text in "a b c d e" and text for text in kept)
    assert answer(make_span(), logits, batch).scores["score"] == 0.0


def test_a_text_counts_once_with_its_best_score():
    assert distinct([("a", 1.0), ("b", 2.0), ("a", 3.0), ("b", 0.0)]) == [("a", 3.0), ("b", 2.0)]
    batch = windows("a b a")
    logits = torch.zeros(*batch.input_ids.shape, 2)
    logits[0, QUESTION] = 1.0
    logits[0, QUESTION + 2] = 2.0
    found = answer(make_span(), logits, batch).scores["n_best"]
    assert [text for text, _ in found].count("a") == 1
    assert found[0] == ["a", 4.0]


def test_a_token_that_is_a_blank_is_no_answer():
    batch = windows("a b")
    extras = batch.extras  # as SentencePiece would cut: "a", " ", "b"
    extras["char_starts"], extras["char_ends"] = [np.array([0, 1, 2])], [np.array([1, 2, 3])]
    batch.attention_mask = torch.ones(1, 6, dtype=torch.long)
    logits = torch.zeros(1, 6, 2)
    logits[0, QUESTION + 1] = 10.0
    logits[0, QUESTION + 2] = 1.0
    assert answer(make_span(options={"n_best": 1}), logits, batch).value == "b"


def test_the_blank_before_a_word_is_no_part_of_the_answer():
    """Some tokenizers count it to the word's first token."""
    batch = windows("a b")
    batch.extras["char_starts"], batch.extras["char_ends"] = [np.array([0, 1])], [np.array([1, 3])]
    assert answer(make_span(), peaks(batch, (1, 1, 20.0)), batch).value == "b"


def test_a_row_is_answered_by_the_best_of_its_windows():
    gold = [["two"], ["two"], ["two"]]
    batch = windows("one two", "two three", "three four", answers=gold)
    logits = peaks(batch, (0, 1, 3.0), (0, 0, 7.0), (1, 1, 5.0), null=0.0)
    logits[:, 0, 0] = torch.tensor([9.0, 4.0, 6.0])
    for name in ("Span", "SpanYN"):
        found = answer(make_span(name), logits, batch)
        assert (found.uid, found.value, found.gold) == ("q", "two", ["two"])
        assert found.scores["score"] == 7.0
        assert found.scores["null"] == 4.0  # the least: one window that has an answer is enough
        assert found.scores["n_best"][:3] == [["two", 7.0], ["four", 5.0], ["one two", 3.0]]
        assert len(found.scores["n_best"]) == 5
    # The right window has the same normalized probability as the others: normalized per window, all would score 0.
    assert {p.value for p in make_span().decode(logits, batch)} == {"one two", "two", "four"}
    strict = make_span("SpanYN", options={"null_threshold": -4.0})
    assert answer(strict, logits, batch).value == ""


def test_merging_is_as_searching_in_all_windows_at_once():
    logits = torch.randn(5, 12, 2, generator=torch.Generator().manual_seed(3))
    words = [f"w{i}" for i in range(40)]
    batch = windows(*(" ".join(words[7 * i :][:9]) for i in range(5)))
    found = answer(make_span(options={"max_answer_len": 4}), logits, batch).scores["n_best"]
    every = [
        (" ".join(words[7 * row :][:9][i : j + 1]), value)
        for row in range(5)
        for value, i, j in by_brute_force(logits[row, QUESTION:11], torch.ones(9), 99, 4)
    ]
    expected = distinct(every)[:5]
    assert [text for text, _ in found] == [text for text, _ in expected]
    assert [value for _, value in found] == pytest.approx([value for _, value in expected])


def test_several_right_answers_and_no_right_answer_are_scored():
    batch = windows("one two", "three", "four", answers=[["x", "Two."], [], ["five"]])
    batch.uids = ["a", "b", "c"]
    logits = peaks(batch, (1, 1, 5.0), (0, 0, -9.0), (0, 0, 5.0))
    kind = make_span("SpanYN", metrics=("EM", "EmF12"))
    groups = by_row(kind.decode(logits, batch), [0, 0, 0])
    predictions = [kind.merge(group) for group in groups]
    assert [(p.value, p.gold) for p in predictions] == [
        ("two", ["x", "Two."]),
        ("", []),
        ("four", ["five"]),
    ]
    metrics, baseline = score(kind, predictions)
    assert metrics["EM"] == pytest.approx(200 / 3)
    assert baseline["EM"] == pytest.approx(100 / 3)  # always "" is right where there is none


def test_a_guess_is_nothing_and_words_stay_words():
    kind = make_span()
    assert kind.guess([["a"], ["a", "b"], []]) == ["", "", ""]
    assert kind.in_words("two") == "two"
    assert kind.in_words(["two"]) == ["two"]


def test_logits_without_padding():
    batch = windows("one two three", "one", room=2)
    logits = torch.randn(2, 8, 2)
    first, second = make_span().unpadded(logits, batch)
    assert torch.equal(first, logits[0, :6])
    assert torch.equal(second, logits[1, :4])
