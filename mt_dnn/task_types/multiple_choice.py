"""Task type: choice of the one right candidate of an example; logits (B, K)."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from torch import Tensor

from data_utils.collator import Batch
from data_utils.errors import UserError
from data_utils.metrics.outcome import Outcome
from data_utils.task_def import TaskDef
from mt_dnn.task_types.candidates import CandidateTaskType
from mt_dnn.task_types.prediction import Prediction


class MultipleChoice(CandidateTaskType):
    """Choice of the right candidate.

    The prediction is its position, from 0. Accuracy counts examples.
    """

    losses: ClassVar[tuple[str, ...]] = ("RankCeCriterion", "CeCriterion")

    @classmethod
    def check(cls, task: TaskDef) -> TaskDef:
        if task.labels and len(task.labels) != 2:
            raise UserError(f"{task.where}: MultipleChoice needs two labels, [wrong, right]")
        return super().check(dataclasses.replace(task, n_class=task.n_class or 2))

    @classmethod
    def outcome(cls, task: TaskDef) -> Outcome | None:
        return Outcome.POSITION

    def decode(self, logits: Tensor, batch: Batch) -> list[Prediction]:
        return [
            Prediction(
                uid,
                scores.index(max(scores)),
                scores,
                None if labels is None else labels.index(max(labels)),
            )
            for uid, scores, labels in zip(
                batch.uids, self.probabilities(logits, batch), self.relevance(batch), strict=True
            )
        ]

    def details(self) -> tuple[str, ...]:
        return ("calibration",)

    def confidence(self, value: int, scores: list[float]) -> float:
        return max(scores)

    def in_words(self, value: Any) -> Any:
        return value
