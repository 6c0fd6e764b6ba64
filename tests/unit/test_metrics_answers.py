"""Answers in words (SQuAD, ReCoRD) and questions with several options (MultiRC)."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from data_utils.errors import UserError
from data_utils.metrics.answers import answer_tokens
from tests.reference import squad
from tests.support.scores import score


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("The  Quick, brown-fox!", ["quick", "brownfox"]),
        ("an apple a day", ["apple", "day"]),
        ("Athena theory", ["athena", "theory"]),  # no article in it
        ("U.S.", ["us"]),
        ("the", []),
        ("", []),
        ("café “Nature”", ["café", "“nature”"]),  # SQuAD's script leaves these quotes
        ("《北京大学》。", ["《北京大学》。"]),  # nor does it know words without blanks
    ],
)
def test_normalisation(text, tokens):
    assert answer_tokens(text) == tokens


@pytest.mark.parametrize(
    ("predicted", "gold", "em", "f1"),
    [
        ("Denver Broncos", ["The Denver Broncos!"], 1, 1),
        ("Broncos", ["Denver Broncos"], 0, 2 * 1 * 0.5 / 1.5),
        ("the big big apple", ["big apple tree", "pear"], 0, 2 * 2 / (3 + 3)),  # "big" once
        ("big big apple", ["pear", "big big apple tree"], 0, 2 * 3 / (3 + 4)),  # and twice
        ("Santa Clara", ["Levi's Stadium", "Santa Clara, California", "santa clara"], 1, 1),
        ("北京大学", ["北京"], 0, 0),
        ("", ["Denver"], 0, 0),
        ("Denver", ["Broncos"], 0, 0),
    ],
)
def test_the_best_of_the_right_answers_counts(predicted, gold, em, f1):
    for name in ("EM", "ReCoRDEM"):
        assert score(name, [gold], [predicted]) == 100 * em
    for name in ("AnswerF1", "EmF1", "EmF12", "ReCoRDF1"):
        assert score(name, [gold], [predicted]) == pytest.approx(100 * f1)


@pytest.mark.parametrize("name", ["EM", "AnswerF1"])
@pytest.mark.parametrize("gold", [[], [""]])
def test_a_question_without_answer_is_answered_by_nothing(name, gold):
    assert score(name, [gold], [""]) == 100.0
    assert score(name, [gold], ["Denver"]) == 0.0


def test_answers_without_words_count_as_in_the_script_of_the_data_set():
    """Gold "the" and prediction "a!": SQuAD v1.1 has EM 1 and F1 0; v2.0 drops "the"."""
    gold, predicted = [["the", "Denver"]], ["a!"]
    assert score("EM", gold, predicted) == 100.0
    assert score("AnswerF1", gold, predicted) == 0.0
    gold, predicted = [["the", "Denver"], []], ["a!", "a!"]
    assert score("EM", gold, predicted) == 50.0
    assert score("AnswerF1", gold, predicted) == 50.0
    gold, predicted = [["the"], []], ["a!", "Denver"]
    assert score("AnswerF1", gold, predicted) == 50.0


# Against the official scripts (tests/reference/squad.py), on strings of what they treat apart.

PIECES = (
    *("a", "an", "the", "The", "A", "word", "Denver", "6s", "x", "theory", "don't", "3.5"),
    *("-", "!", "...", "U.S.", "“", "”", "。", "，", "《", "》", "·", "……", "=", "$", "%"),
    *("北", "京", "大", "学", "カ", "é", "e\u0301", "İ", "ß", "\u200b", "\u00a0", "\u3000"),
    *(" ", " ", " ", "\t", "\n", ""),
)


def strings(seed: int, count: int) -> Iterator[tuple[str, list[str]]]:
    """Predictions and accepted texts; every third prediction is made of an accepted text."""
    draw = random.Random(seed)
    for _ in range(count):
        texts = [
            "".join(draw.choices(PIECES, k=draw.randint(0, 6))) for _ in range(draw.randint(1, 3))
        ]
        predicted = "".join(draw.choices(PIECES, k=draw.randint(0, 6)))
        if draw.random() < 1 / 3:
            predicted = (
                draw.choice(["", "the ", "“"]) + texts[0] + draw.choice(["", "!", " a", "北"])
            )
        yield predicted, texts


def test_ten_thousand_strings_score_as_in_squads_scripts():
    for predicted, gold in strings(0, 10_000):
        if any(gold):
            assert score("EM", [gold], [predicted]) == 100 * squad.em_v1(predicted, gold)
            assert score("AnswerF1", [gold], [predicted]) == pytest.approx(
                100 * squad.f1_v1(predicted, gold), abs=1e-12
            )
        # A further question without an answer makes it a data set like SQuAD v2.0.
        gold, both = [gold, []], [predicted, ""]
        em, f1 = squad.em_v2(predicted, gold[0]), squad.f1_v2(predicted, gold[0])
        assert score("EM", gold, both) == 50 * (em + 1)
        assert score("AnswerF1", gold, both) == pytest.approx(50 * (f1 + 1), abs=1e-12)


def test_ten_thousand_strings_score_as_in_cmrcs_script():
    for predicted, gold in strings(1, 10_000):
        assert score("CMRCEM", [gold], [predicted]) == 100 * squad.em_cmrc(predicted, gold)
        expected = 100 * squad.f1_cmrc(predicted, gold)
        assert score("CMRCF1", [gold], [predicted]) == pytest.approx(expected, abs=1e-12)


def test_chinese_by_hand():
    """CMRC: the longest common run of characters, here 3 of 4 and 3 of 5."""
    assert score("CMRCF1", [["《北京大学》"]], ["在北京大的"]) == pytest.approx(200 * 3 / (4 + 5))
    assert score("CMRCEM", [["《北京大学》"]], ["北京，大学。"]) == 100.0
    assert score("CMRCF1", [["iPhone 6s手机"]], ["6s手机"]) == pytest.approx(200 * 3 / (4 + 3))


def test_the_mean_over_questions():
    gold, predicted = [["Denver Broncos"], [], ["two"]], ["Broncos", "", "three"]
    assert score("EM", gold, predicted) == pytest.approx(100 / 3)
    assert score("AnswerF1", gold, predicted) == pytest.approx(100 * (2 / 3 + 1 + 0) / 3)


def test_one_text_is_one_answer_and_not_its_letters():
    assert score("EM", ["yes"], ["Yes."]) == 100.0
    assert score("EM", ["yes"], ["y"]) == 0.0


# MultiRC: questions 0-1-0 and 0-1-1 of one paragraph, and 0-2.

UIDS = ["0-1-0", "0-1-1", "0-1-2", "0-2-0", "0-2-1"]
GOLD = [1, 0, 1, 0, 1]
GUESS = [1, 0, 0, 0, 1]  # the third option is missed


def test_multirc():
    given = {"uids": UIDS}
    assert score("MultiRCF1a", GOLD, GUESS, **given) == pytest.approx(100 * 2 * 2 / (3 + 2))
    assert score("MultiRCEM", GOLD, GUESS, **given) == 50.0
    assert score("MultiRCEM", GOLD, GOLD, **given) == 100.0


def test_the_options_of_a_question_need_not_be_neighbours():
    order = [2, 3, 0, 4, 1]
    shuffled = ([rows[i] for i in order] for rows in (GOLD, GUESS))
    assert score("MultiRCEM", *shuffled, uids=[UIDS[i] for i in order]) == 50.0


def test_uids_that_name_no_question():
    for name in ("MultiRCEM", "MultiRCF1a"):
        for uid in ("7", "dev-7", "7-a"):
            with pytest.raises(UserError, match=rf"it takes uids such as 12-3 .*, not '{uid}'"):
                score(name, [1], [1], uids=[uid])
    with pytest.raises(UserError, match="metric MultiRCEM needs uids"):
        score("MultiRCEM", [1], [1])
    with pytest.raises(ValueError, match="1 uids for 2 gold labels"):
        score("MultiRCEM", [1, 0], [1, 0], uids=["1-1"])
