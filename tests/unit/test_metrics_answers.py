"""Answers in words (SQuAD, ReCoRD) and questions with several options (MultiRC)."""

from __future__ import annotations

import pytest

from data_utils.errors import UserError
from data_utils.metrics.answers import answer_tokens
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
        ("《北京大学》。", ["北", "京", "大", "学"]),
        ("iPhone 6s手机", ["iphone", "6s", "手", "机"]),
        ("“カメラ”・東京", ["カ", "メ", "ラ", "東", "京"]),
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
        ("北京大学", ["北京"], 0, 2 * 1 * 0.5 / 1.5),
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
@pytest.mark.parametrize("gold", [[], [""], ["the"]])
def test_a_question_without_answer_is_answered_by_nothing(name, gold):
    assert score(name, [gold], [""]) == 100.0
    assert score(name, [gold], ["Denver"]) == 0.0


def test_an_answer_beside_one_without_words():
    assert score("EM", [["the", "Denver"]], [""]) == 0.0


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
    with pytest.raises(UserError, match=r"it takes uids such as 12-3 .*, not '7'"):
        score("MultiRCEM", [1], [1], uids=["7"])
    with pytest.raises(UserError, match="metric MultiRCEM needs uids"):
        score("MultiRCEM", [1], [1])
    with pytest.raises(ValueError, match="1 uids for 2 gold labels"):
        score("MultiRCEM", [1, 0], [1, 0], uids=["1-1"])
