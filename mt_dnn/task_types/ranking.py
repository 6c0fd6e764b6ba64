"""Which candidates are relevant, candidate by candidate; logits (B, K)."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from torch import Tensor

from data_utils.collator import Batch
from data_utils.errors import UserError
from data_utils.task_def import TaskDef
from mt_dnn.task_types.base import TASK_TYPES, Prediction
from mt_dnn.task_types.candidates import CandidateTaskType


@TASK_TYPES.register("Ranking")
class Ranking(CandidateTaskType):
    """The best-scored candidate is predicted 1, the others 0; scores compare these candidate by
    candidate, as MT-DNN does for QNLI."""

    losses: ClassVar[tuple[str, ...]] = ("RankCeCriterion",)

    @classmethod
    def check(cls, task: TaskDef) -> TaskDef:
        if task.labels and len(task.labels) != 2:
            raise UserError(f"{task.where}: Ranking takes two labels, [irrelevant, relevant]")
        return super().check(dataclasses.replace(task, n_class=task.n_class or 2))

    def decode(self, logits: Tensor, batch: Batch) -> list[Prediction]:
        predictions = []
        for uid, scores, labels in zip(
            batch.uids, self.probabilities(logits, batch), self.relevance(batch), strict=True
        ):
            best = scores.index(max(scores))
            value = [int(i == best) for i in range(len(scores))]
            predictions.append(Prediction(uid, value, scores, labels))
        return predictions
