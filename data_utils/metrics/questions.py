"""Scores of MultiRC (Khashabi et al. 2018; SuperGLUE, arXiv 1905.00537), whose rows are options.

A question has several options, each right or wrong. The question of a row is its uid up to the last
"-".
"""

from __future__ import annotations

from data_utils.errors import UserError
from data_utils.metrics.base import Results, Undefined, metric
from data_utils.metrics.classes import f1

metric("MultiRCF1a")(f1)  # of all options alike, whichever question they belong to


@metric("MultiRCEM", needs=("uids",))
def all_options_right(results: Results) -> float:
    """Share of the questions with every option judged right.

    Raises:
        UserError: a uid without "-".
    """
    right: dict[str, bool] = {}
    for uid, gold, predicted in zip(results.uids, results.gold, results.predicted, strict=True):
        question, dash, _ = uid.rpartition("-")
        if not dash:
            raise UserError(f"it takes uids such as 12-3 (question, option), not {uid!r}")
        right[question] = right.get(question, True) and gold == predicted
    if not right:
        raise Undefined("no examples")
    return 100.0 * sum(right.values()) / len(right)
