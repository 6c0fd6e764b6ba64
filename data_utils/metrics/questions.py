"""Metrics of MultiRC (Khashabi et al. 2018; SuperGLUE, arXiv 1905.00537).

A row is an answer option, which is right or wrong; a question has several options. The part of a row's
uid before the last "-" identifies its question.
"""

from __future__ import annotations

from data_utils.errors import UserError
from data_utils.metrics.base import Results, Undefined, metric


@metric(needs=("uids",))
def all_options_right(results: Results) -> float:
    """Share of questions of which all options are classified correctly.

    Raises:
        UserError: a uid has no "-".
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
