"""Task type: relevance of each candidate of an example; logits (B, K)."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from torch import Tensor

from data_utils.collator import Batch
from data_utils.errors import UserError
from data_utils.metrics.outcome import Outcome
from data_utils.task_def import TaskDef
from mt_dnn.task_types.candidates import CandidateTaskType
from mt_dnn.task_types.prediction import Prediction


class Ranking(CandidateTaskType):
    """Ranking of candidates.

    The prediction is 1 for the candidate with the highest score and 0 for the others. Metrics count
    candidates, as MT-DNN does for QNLI.
    """

    losses: ClassVar[tuple[str, ...]] = ("RankCeCriterion",)

    @classmethod
    def check(cls, task: TaskDef) -> TaskDef:
        if task.labels and len(task.labels) != 2:
            raise UserError(f"{task.where}: Ranking needs two labels, [irrelevant, relevant]")
        return super().check(dataclasses.replace(task, n_class=task.n_class or 2))

    @classmethod
    def outcome(cls, task: TaskDef) -> Outcome | None:
        return Outcome.CANDIDATES

    def one_against_rest(
        self, predictions: list[Prediction]
    ) -> dict[str, tuple[list[bool], list[float]]]:
        """Return the labels and probabilities of all candidates, as one class."""
        gold = [bool(label) for p in predictions for label in p.gold]
        return {"right": (gold, [score for p in predictions for score in p.scores])}

    def decode(self, logits: Tensor, batch: Batch) -> list[Prediction]:
        predictions = []
        for uid, scores, labels in zip(
            batch.uids, self.probabilities(logits, batch), self.relevance(batch), strict=True
        ):
            best = scores.index(max(scores))
            value = [int(i == best) for i in range(len(scores))]
            predictions.append(Prediction(uid, value, scores, labels))
        return predictions

    def details(self) -> tuple[str, ...]:
        return ("classes", "confusion", "calibration")

    def confidence(self, value: list[int], scores: list[float]) -> list[float]:
        return [p if chosen else 1 - p for chosen, p in zip(value, scores, strict=True)]
