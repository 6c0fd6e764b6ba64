"""Calibration: accuracy by confidence, in the bins of the metric ECE."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from data_utils.metrics.probabilities import BINS, confidence_bins
from mt_dnn.inference.details.decisions import Decisions


def calibration(decisions: Sequence[Decisions]) -> dict[str, Any] | None:
    """Return the reliability bins (lower, upper] of equal width, without empty ones, and their ECE.

    Words beyond the maximum length are left out, because the model did not decide them.

    Source: Guo et al. 2017 (arXiv 1706.04599), eq. 3.

    Returns:
        ``bins``: ``low`` and ``high``, between 0 and 1; ``count`` of decisions; their mean ``confidence``
        and ``accuracy`` in percent. ``ece`` in percent. None if there are no probabilities.
    """
    taken = list(chain.from_iterable(one.taken() for one in decisions))
    confidence = np.array([own for _, own in taken])
    if not len(confidence) or not np.isfinite(confidence).all():
        return None
    right = np.array([own for own, _ in taken], dtype=float)
    place = confidence_bins(confidence)
    bins, gap = [], 0.0
    for number in np.unique(place):
        own = place == number
        share, accuracy = float(confidence[own].mean()), float(right[own].mean())
        gap += own.sum() * abs(accuracy - share)
        bins.append(
            {
                "low": number / BINS,
                "high": (number + 1) / BINS,
                "count": int(own.sum()),
                "confidence": 100.0 * share,
                "accuracy": 100.0 * accuracy,
            }
        )
    return {"bins": bins, "ece": 100.0 * float(gap) / len(confidence)}
