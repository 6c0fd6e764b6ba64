"""Entities that label words spell, against seqeval's own scores and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import seqeval.metrics as seqeval

from tests.support.scores import reported, score

LABELS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
OUT, B_PER, I_PER, B_LOC, I_LOC = range(5)


def entities(name: str, gold, predicted):
    return score(name, gold, predicted, labels=LABELS)


def words(rows):
    return [[LABELS[i] for i in row] for row in rows]


# Gold: 3 entities. Predicted: 4; two right, one too short, one that is not there.
GOLD = [[OUT, B_PER, I_PER, OUT], [B_LOC, OUT, B_PER, I_PER]]
GUESS = [[OUT, B_PER, I_PER, OUT], [B_LOC, B_LOC, B_PER, OUT]]


@pytest.mark.parametrize(
    ("name", "expected"), [("SeqEvalP", 2 / 4), ("SeqEvalR", 2 / 3), ("SeqEval", 2 * 2 / 7)]
)
def test_by_hand(name, expected):
    assert entities(name, GOLD, GUESS) == pytest.approx(100 * expected)


@pytest.mark.parametrize(
    ("gold", "guess", "right"),
    [
        ([B_PER, I_PER], [B_PER, OUT], False),  # its end is part of it
        ([B_PER, I_PER], [B_LOC, I_LOC], False),  # and its type
        ([B_PER, B_PER], [B_PER, I_PER], False),  # two are not one
        ([B_PER, OUT], [I_PER, OUT], True),  # an I- that continues nothing begins
        ([B_PER, B_LOC], [B_PER, I_LOC], True),  # as does one of another type
    ],
)
def test_what_is_an_entity_as_conlls_script_has_it(gold, guess, right):
    assert (entities("SeqEval", [gold], [guess]) == 100.0) == right


def test_an_entity_ends_with_its_sentence():
    assert entities("SeqEvalR", [[OUT, B_PER], [I_PER, OUT]], [[OUT, B_PER], [I_PER, OUT]]) == 100.0
    assert entities("SeqEvalP", [[OUT, B_PER, I_PER, OUT]] * 2, [[OUT, B_PER, OUT, OUT]] * 2) == 0.0


def test_against_the_library():
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 12, 40)
    gold, guess = ([rng.integers(0, 5, n).tolist() for n in lengths] for _ in range(2))
    guess = [g if rng.random() < 0.5 else p for g, p in zip(gold, guess, strict=True)]
    for name, function in (
        ("SeqEval", seqeval.f1_score),
        ("SeqEvalP", seqeval.precision_score),
        ("SeqEvalR", seqeval.recall_score),
    ):
        assert entities(name, gold, guess) == pytest.approx(
            100 * function(words(gold), words(guess))
        )


def test_by_sentence_rightly_naming_nothing_counts_as_right():
    gold = [[OUT, OUT], [B_PER, B_LOC], [OUT], [B_PER]]
    guess = [[OUT, OUT], [B_PER, OUT], [B_PER], [OUT]]  # 1, 2/3, 0, 0
    assert entities("SeqEvalList", gold, guess) == pytest.approx(100 * (1 + 2 / 3) / 4)
    assert entities("SeqEval", gold, guess) == pytest.approx(100 * 2 * 1 / (3 + 2))


def test_no_entities():
    nothing, something = [[OUT, OUT]], [[OUT, B_PER]]
    given = {"labels": LABELS}
    of = "sentences without entities"
    assert reported("SeqEval", of, nothing, nothing, **given) == 0.0
    assert reported("SeqEvalR", of, nothing, something, **given) == 0.0
    of = "predictions without entities"
    assert reported("SeqEvalP", of, something, nothing, **given) == 0.0
    assert entities("SeqEval", something, nothing) == 0.0
    assert entities("SeqEvalList", nothing, nothing) == 100.0


def test_as_many_predictions_as_words():
    with pytest.raises(ValueError, match="example 1: 2 gold labels for 1 predictions"):
        entities("SeqEval", [[OUT], [OUT, OUT]], [[OUT], [OUT]])
