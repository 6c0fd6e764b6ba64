"""Task type: choice of the candidate that fills a gap; logits (B, K)."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from torch import Tensor

from data_utils.collator import Batch
from data_utils.labels import LabelKind, LabelSpec, LabelUnit
from data_utils.metrics.outcome import Outcome
from data_utils.task_def import TaskDef
from mt_dnn.task_types.candidates import CandidateTaskType
from mt_dnn.task_types.prediction import Prediction


class ClozeChoice(CandidateTaskType):
    """Choice of the candidate that fills a gap, as in ReCoRD.

    Several candidates may be right, such as the mentions of one entity. The target distribution is
    uniform over them. The prediction is the text of the best candidate, and metrics compare it with
    all accepted texts.
    """

    label: ClassVar[LabelSpec] = LabelSpec(LabelKind.ANSWER, LabelUnit.CANDIDATE)
    losses: ClassVar[tuple[str, ...]] = ("RankCeCriterion", "CeCriterion")

    @classmethod
    def check(cls, task: TaskDef) -> TaskDef:
        return super().check(dataclasses.replace(task, n_class=task.n_class or 2))

    @classmethod
    def outcome(cls, task: TaskDef) -> Outcome | None:
        return Outcome.TEXT

    def decode(self, logits: Tensor, batch: Batch) -> list[Prediction]:
        unlabelled = batch.labels is None
        return [
            Prediction(
                uid, choice[scores.index(max(scores))], scores, None if unlabelled else answer
            )
            for uid, choice, answer, scores in zip(
                batch.uids,
                batch.extras["choice"],
                batch.extras["answer"],
                self.probabilities(logits, batch),
                strict=True,
            )
        ]

    def guess(self, gold: list[list[str]]) -> list[str]:
        """Return empty texts: no text is a constant choice, since candidates differ per example."""
        return [""] * len(gold)

    def details(self) -> tuple[str, ...]:
        return ("calibration",)

    def confidence(self, value: str, scores: list[float]) -> float:
        return max(scores)

    def in_words(self, value: Any) -> Any:
        return value
