"""The best model of a run so far, by its average dev score, and the data sets that decide it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mt_dnn.inference.evaluate import Evaluation, average_of, average_score
from mt_dnn.runs.prepare import RunData


class BestModel:
    """Remembers the best evaluation, and how many evaluations ago it was.

    Args:
        patience: number of evaluations without a better average after which training stops; None:
            never.
        data: the tasks and dev sets of the run; its configuration names the data sets that select.
    """

    def __init__(self, patience: int | None, data: RunData) -> None:
        self.patience = patience
        self.selected_on = selecting(data)
        """The data sets whose average selects the model."""
        self.tasks = {name: data.tasks[store.manifest.task] for name, store in data.dev.items()}
        self.record: dict[str, Any] | None = None
        """Step, average, scores, baselines and losses of the best model; None before the first
        evaluation."""
        self.evaluations_since = 0

    def average(self, evaluations: Mapping[str, Evaluation]) -> float | None:
        """Average over the data sets that select the model; see :func:`average_score`."""
        return average_score({n: e for n, e in evaluations.items() if n in self.selected_on})

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
            "losses": {name: e.loss for name, e in evaluations.items() if e.loss is not None},
        }
        return True

    def restore(self, record: dict[str, Any] | None, evaluations_since: int) -> None:
        """Continue from a checkpoint.

        The average is computed again, because older versions averaged over data sets that do not select
        any more.
        """
        self.record, self.evaluations_since = record, evaluations_since
        if record is not None and record["average"] is not None:
            scores = [
                (self.tasks[name], metrics)
                for name, metrics in record["scores"].items()
                if name in self.selected_on
            ]
            self.record = record | {"average": average_of(scores)}

    @property
    def step(self) -> int | None:
        """Update of the best model; None before the first evaluation."""
        return None if self.record is None else self.record["step"]

    @property
    def out_of_patience(self) -> bool:
        """Whether training should stop early."""
        return self.patience is not None and self.evaluations_since >= self.patience


def selecting(data: RunData) -> tuple[str, ...]:
    """Names of the data sets whose average selects the best model, in the order of the tasks.

    These are the data sets of ``train.select_on``; by default the dev sets of the tasks that are trained,
    or all dev sets if no trained task has one.
    """
    chosen: Sequence[str] = data.config.train.select_on
    if not chosen:
        chosen = [
            name
            for name, store in data.dev.items()
            if store.manifest.task in data.train and data.tasks[store.manifest.task].weight != 0
        ]
    return tuple(name for name in data.dev if not chosen or name in chosen)
