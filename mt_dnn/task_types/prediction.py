"""Prediction, what a task type makes of the logits of one example."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass
class Prediction:
    """The model's prediction for one example."""

    uid: str
    """Id of the example."""
    value: Any
    """Class id, number, text, set of class ids, or a list with one entry per candidate or word."""
    scores: Any
    """Scores that ``value`` was chosen by, such as class probabilities; some metrics need them."""
    gold: Any = None
    """The label in the form of ``value``, or all accepted texts; None if the row has no label."""
