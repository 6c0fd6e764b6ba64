"""Metrics of MultiRC (Khashabi et al. 2018; SuperGLUE, arXiv 1905.00537).

A row is an answer option, which is right or wrong; a question has several options. A row's uid ends in
the number of its question and that of the option, such as ``5-12-3``. The part before the last "-"
identifies the question.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from data_utils.errors import UserError
from data_utils.metrics.base import Results, Undefined, metric
from data_utils.metrics.class_counts import F1_POSITIVE
from data_utils.metrics.classes import f1
from data_utils.metrics.outcome import Outcome
from data_utils.metrics.statistics import Statistics, percent

UID = re.compile(r"(.*[0-9])-[0-9]+")


def _passages(results: Results) -> list[str]:
    """Return the passage of each option: the uid without question and option, or else its question.

    Questions of one passage are not independent, so resamples keep them together.
    """
    return [question.rpartition("-")[0] or question for question in _questions(results.uids)]


def _right_questions(results: Results) -> np.ndarray:
    """Return (N, 2): at the first option of a question, whether all are right, and 1; else zeros."""
    questions = _questions(results.uids)
    right = _all_right(results)
    counts = np.zeros((len(questions), 2))
    firsts = {question: row for row, question in reversed(list(enumerate(questions)))}
    for question, row in firsts.items():
        counts[row] = right[question], 1
    return counts


@metric(
    needs=("uids",), fits=(Outcome.BINARY,), statistics=replace(F1_POSITIVE, clusters=_passages)
)
def options_f1(results: Results) -> float:
    """F1 of the options of all questions together.

    Raises:
        UserError: a uid is not that of an option.
    """
    _questions(results.uids)
    return f1(results)


@metric(
    needs=("uids",),
    fits=(Outcome.BINARY,),
    statistics=Statistics(_right_questions, lambda n: percent(n[..., 0], n[..., 1]), _passages),
)
def all_options_right(results: Results) -> float:
    """Share of questions of which all options are classified correctly.

    Raises:
        UserError: a uid is not that of an option.
    """
    right = _all_right(results)
    if not right:
        raise Undefined("no examples")
    return 100.0 * sum(right.values()) / len(right)


def _all_right(results: Results) -> dict[str, bool]:
    """Return question -> whether all of its options are classified correctly."""
    right: dict[str, bool] = {}
    rows = zip(_questions(results.uids), results.gold, results.predicted, strict=True)
    for question, gold, predicted in rows:
        right[question] = right.get(question, True) and gold == predicted
    return right


def _questions(uids: Iterable[str]) -> list[str]:
    """Return the question of each uid; raise UserError if a uid has none."""
    found = []
    for uid in uids:
        match = UID.fullmatch(uid)
        if match is None:
            raise UserError(f"it takes uids such as 12-3 (question, option), not {uid!r}")
        found.append(match[1])
    return found
