"""What is measured on one version of a data set: metrics, calibration error and loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mt_dnn.inference.details.calibration import calibration
from mt_dnn.inference.details.decisions import decide
from mt_dnn.task_types import Prediction, TaskType


@dataclass(frozen=True)
class Measured:
    """Scores on one version of a data set."""

    metrics: dict[str, float]
    """The task's metrics that are numbers."""
    ece: float | None
    """Expected calibration error in percent; None where the task has no probabilities."""
    loss: float | None
    """Mean supervised loss, as scores.json has it: the negative log-likelihood in nats for classes without
    class weights and label smoothing, the squared error for numbers."""

    def record(self) -> dict[str, Any]:
        """Return the part of robustness.json."""
        return {"metrics": self.metrics, "ece": self.ece, "loss": self.loss}


def measured(
    kind: TaskType,
    predictions: Sequence[Prediction],
    metrics: dict[str, Any],
    loss: float | None,
) -> Measured:
    """Add the calibration error to the scores of an evaluation.

    Args:
        kind: the type of the task.
        predictions: of labelled rows.
        metrics: as :func:`mt_dnn.inference.evaluate.score` returns them.
        loss: mean supervised loss.
    """
    numbers = {name: value for name, value in metrics.items() if isinstance(value, (int, float))}
    return Measured(numbers, _ece(kind, predictions), loss)


def _ece(kind: TaskType, predictions: Sequence[Prediction]) -> float | None:
    if "calibration" not in kind.details():
        return None
    _, decisions = decide(kind, predictions)
    found = None if decisions is None else calibration(decisions)
    return None if found is None else found["ece"]
