"""The error of a regression by range of the gold value."""

from __future__ import annotations

from typing import Any

import numpy as np

from data_utils.metrics.base import Results

RANGES = 5
"""Number of ranges; fewer where the gold values are few."""


def error_ranges(results: Results) -> list[dict[str, Any]]:
    """Return the errors in ranges of the gold value that have about the same number of examples.

    Equal gold values are in one range.

    Returns:
        For each range the smallest and the greatest gold value in it, ``low`` and ``high``; ``count``;
        ``bias``, the mean of prediction minus gold; ``mae`` and ``rmse``, the mean absolute and the root
        mean squared error. All but the count are in the unit of the labels.
    """
    gold, predicted = results.numbers()
    edges = np.unique(np.quantile(gold, np.arange(1, RANGES) / RANGES))
    place = np.searchsorted(edges, gold, side="left")
    rows = []
    for own in (place == number for number in np.unique(place)):
        error = predicted[own] - gold[own]
        rows.append(
            {
                "low": float(gold[own].min()),
                "high": float(gold[own].max()),
                "count": int(own.sum()),
                "bias": float(error.mean()),
                "mae": float(np.abs(error).mean()),
                "rmse": float(np.sqrt(np.square(error).mean())),
            }
        )
    return rows
