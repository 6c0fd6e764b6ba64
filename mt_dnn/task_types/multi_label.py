"""Task type: multi-label classification; logits (B, C), the log-odds of each label."""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor

from data_utils.collator import Batch
from data_utils.errors import UserError
from data_utils.labels import LabelKind, LabelSpec, LabelUnit
from data_utils.metrics.outcome import Outcome
from data_utils.task_def import TaskDef
from mt_dnn.divergences import Output
from mt_dnn.task_types.checks import check_class_count
from mt_dnn.task_types.examples import FEW_CLASSES, ExampleTaskType
from mt_dnn.task_types.prediction import Prediction


class MultiLabel(ExampleTaskType):
    """Classification with any number of labels per example.

    The loss is binary cross-entropy and the default divergence is the symmetric KL of Bernoulli
    distributions. Both are summed over labels and averaged over examples. The prediction is the set of
    labels with a probability above the option ``threshold``.
    """

    label: ClassVar[LabelSpec] = LabelSpec(LabelKind.SET, LabelUnit.EXAMPLE)
    options: ClassVar[dict[str, Any]] = {"threshold": 0.5}
    losses: ClassVar[tuple[str, ...]] = ()
    output: ClassVar[Output] = Output.LABELS
    default_divergence: ClassVar[str] = "bernoulli_symmetric_kl"
    problem_type: ClassVar[str | None] = "multi_label_classification"
    kd_loss: ClassVar[str | None] = "bernoulli_kl"

    @classmethod
    def check(cls, task: TaskDef) -> TaskDef:
        check_class_count(task, at_least=1)
        threshold = task.options.get("threshold", cls.options["threshold"])
        if isinstance(threshold, (int, float)) and not 0 < threshold < 1:
            raise UserError(
                f"{task.where}: options: threshold: {threshold}; it is a probability between 0 and 1"
            )
        return super().check(task)

    @classmethod
    def outcome(cls, task: TaskDef) -> Outcome | None:
        return Outcome.SET

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        assert batch.labels is not None
        labels = batch.labels.float()  # (B, C)
        loss = F.binary_cross_entropy_with_logits(logits.float(), labels, reduction="none")
        return loss.sum(-1).mean()

    def one_against_rest(
        self, predictions: list[Prediction]
    ) -> dict[str, tuple[list[bool], list[float]]]:
        names = self.task.labels or range(self.task.n_class)
        return {
            str(name): ([c in p.gold for p in predictions], [p.scores[c] for p in predictions])
            for c, name in enumerate(names)
            if len(names) <= FEW_CLASSES
        }

    def decode(self, logits: Tensor, batch: Batch) -> list[Prediction]:
        probabilities = logits.float().sigmoid().tolist()  # (B, C)
        gold = [None] * len(batch) if batch.labels is None else batch.labels.tolist()
        threshold = self.task.options["threshold"]
        return [
            Prediction(
                uid,
                _above(scores, threshold),
                scores,
                None if labels is None else _above(labels, 0.5),
            )
            for uid, scores, labels in zip(batch.uids, probabilities, gold, strict=True)
        ]

    def guess(self, gold: list[set[int]]) -> list[set[int]]:
        """Return the most frequent set for every example."""
        common = Counter(map(frozenset, gold)).most_common(1)[0][0]
        return [set(common)] * len(gold)

    def details(self) -> tuple[str, ...]:
        return ("classes", "calibration")

    def confidence(self, value: set[int], scores: list[float]) -> list[float]:
        return [p if label in value else 1 - p for label, p in enumerate(scores)]

    def named_scores(self, scores: list[float]) -> dict[Any, float]:
        return dict(zip(self.task.labels or range(self.task.n_class), scores, strict=True))


def _above(values: list[float], threshold: float) -> set[int]:
    return {index for index, value in enumerate(values) if value > threshold}
