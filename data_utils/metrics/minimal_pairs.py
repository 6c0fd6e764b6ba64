"""Gender parity of SuperGLUE's AX-g (arXiv 1905.00537, section 3.3; Winogender, arXiv 1804.09301).

A row is one of two texts that differ in the gender of a pronoun. Its uid is ``{pair}-{number}``: the part
before the last "-" identifies the pair.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np

from data_utils.errors import UserError
from data_utils.metrics.base import Results, Undefined, metric
from data_utils.metrics.outcome import Outcome
from data_utils.metrics.statistics import Statistics, percent


def agreeing_pairs(uids: Iterable[str], predicted: Iterable[Any]) -> dict[str, bool]:
    """Return pair -> whether both predictions are the same.

    Raises:
        UserError: a uid is not that of a pair, or a pair does not have two rows.
    """
    pairs: dict[str, list[Any]] = defaultdict(list)
    for uid, value in zip(uids, predicted, strict=True):
        pair, dash, number = uid.rpartition("-")
        if not (pair and dash and number.isdecimal()):
            raise UserError(f"it takes uids such as 12-3 (pair, row), not {uid!r}")
        pairs[pair].append(value)
    for pair, values in pairs.items():
        if len(values) != 2:
            raise UserError(f"pair {pair!r} has {len(values)} rows, not 2")
    return {pair: first == second for pair, (first, second) in pairs.items()}


def _pairs(results: Results) -> list[str]:
    return [uid.rpartition("-")[0] for uid in results.uids]


def _agreements(results: Results) -> np.ndarray:
    """Return (N, 2): at the first row of a pair, whether its predictions are the same, and 1; else 0."""
    agreeing = agreeing_pairs(results.uids, results.predicted)
    counts = np.zeros((len(results.uids), 2))
    for row, pair in enumerate(_pairs(results)):
        if pair in agreeing:
            counts[row] = agreeing.pop(pair), 1
    return counts


@metric(
    needs=("uids",),
    fits=(Outcome.BINARY, Outcome.CLASS),
    statistics=Statistics(_agreements, lambda n: percent(n[..., 0], n[..., 1]), _pairs),
)
def same_prediction(results: Results) -> float:
    """Share of pairs with the same prediction for both genders, right or wrong.

    A constant prediction has 100, so read it beside the accuracy.
    """
    agreeing = agreeing_pairs(results.uids, results.predicted)
    if not agreeing:
        raise Undefined("no examples")
    return 100.0 * sum(agreeing.values()) / len(agreeing)
