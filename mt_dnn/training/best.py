"""The best model of a run so far, by its average dev score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mt_dnn.inference.evaluate import Evaluation


class BestModel:
    """Remembers the best evaluation, and how many evaluations ago it was.

    Args:
        patience: number of evaluations without a better average after which training stops; None:
            never.
    """

    def __init__(self, patience: int | None) -> None:
        self.patience = patience
        self.record: dict[str, Any] | None = None
        """Step, average, scores and baselines of the best model; None before the first evaluation."""
        self.evaluations_since = 0

    def offer(
        self, step: int, evaluations: Mapping[str, Evaluation], average: float | None
    ) -> bool:
        """Compare an evaluation with the best so far; return whether its model replaces it.

        It does if the average is greater, and always if there are no scores.
        """
        if self.record is not None and average is not None and average <= self.record["average"]:
            self.evaluations_since += 1
            return False
        self.evaluations_since = 0
        self.record = {
            "step": step,
            "average": average,
            "scores": {name: e.metrics for name, e in evaluations.items()},
            "baselines": {name: e.baseline for name, e in evaluations.items()},
        }
        return True

    @property
    def step(self) -> int | None:
        """Update of the best model; None before the first evaluation."""
        return None if self.record is None else self.record["step"]

    @property
    def out_of_patience(self) -> bool:
        """Whether training should stop early."""
        return self.patience is not None and self.evaluations_since >= self.patience
