"""Scores of ranked lists and of minimal pairs against values worked out by hand."""

from __future__ import annotations

import pytest

from data_utils.errors import UserError
from tests.support.scores import reported, score

GOLD = [[0, 1, 0], [1, 0], [0, 1, 1], [0, 0]]
SCORES = [[0.2, 0.5, 0.3], [0.4, 0.6], [0.5, 0.2, 0.3], [0.9, 0.1]]
FIRST = [[0, 1, 0], [0, 1], [1, 0, 0], [1, 0]]


def test_ranked_lists_by_hand():
    """The right candidates rank 1, 2 and 2; the last list has none and does not count."""
    assert score("Top1", GOLD, FIRST) == pytest.approx(100 / 3)
    assert score("MRR", GOLD, FIRST, SCORES) == pytest.approx(100 * (1 + 1 / 2 + 1 / 2) / 3)


def test_of_equal_scores_the_earlier_candidate_ranks_first():
    equal = [[0.5, 0.5], [0.5, 0.5]]
    assert score("MRR", [[1, 0], [0, 1]], [[1, 0], [1, 0]], equal) == pytest.approx(75)


def test_lists_without_a_right_candidate_are_undefined():
    for name in ("Top1", "MRR"):
        assert reported(name, "lists without a right candidate", [[0, 0]], [[1, 0]], [[1, 0]]) == 0


@pytest.mark.parametrize(
    ("gold", "scores", "message"),
    [
        ([1, 0], [0.5, 0.5], "it takes lists of candidates, not 1"),
        ([[1, 0]], [[0.5]], "1 scores for 2 candidates"),
    ],
)
def test_no_lists_and_missing_scores_are_refused(gold, scores, message):
    with pytest.raises(UserError, match=message):
        score("MRR", gold, gold, scores)


def test_gender_parity_counts_pairs_that_agree_right_or_wrong():
    uids = ["7-0", "8-2", "7-1", "8-3", "9-4", "9-5"]
    assert score(
        "GenderParity", [0, 0, 0, 0, 1, 1], [0, 1, 0, 0, 0, 0], uids=uids
    ) == pytest.approx(100 * 2 / 3)


@pytest.mark.parametrize(
    ("uids", "message"),
    [
        (["7", "8"], "it takes uids such as 12-3"),
        (["7-0", "8-1"], "pair '7' has 1 rows, not 2"),
    ],
)
def test_gender_parity_refuses_rows_without_a_pair(uids, message):
    with pytest.raises(UserError, match=message):
        score("GenderParity", [0, 0], [0, 1], uids=uids)
