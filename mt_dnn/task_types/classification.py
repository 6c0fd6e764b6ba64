"""Task type: classification into one of C classes; logits (B, C)."""

from __future__ import annotations

from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from data_utils.collator import Batch
from data_utils.labels import CLASS_PER_EXAMPLE, LabelSpec
from data_utils.metrics.outcome import Outcome
from data_utils.task_def import TaskDef
from mt_dnn.task_types.checks import check_class_count
from mt_dnn.task_types.class_loss import OPTIONS, ClassLoss, check_class_loss
from mt_dnn.task_types.examples import FEW_CLASSES, ExampleTaskType
from mt_dnn.task_types.prediction import Prediction


class Classification(ExampleTaskType):
    """Classification of examples.

    The loss is cross-entropy, with the options ``label_smoothing`` and ``class_weights`` of
    :class:`~mt_dnn.task_types.class_loss.ClassLoss`. The default divergence is symmetric KL over
    classes, and the prediction is the class with the highest probability.
    """

    label: ClassVar[LabelSpec] = CLASS_PER_EXAMPLE
    options: ClassVar[dict[str, Any]] = OPTIONS
    takes_san: ClassVar[bool] = True
    losses: ClassVar[tuple[str, ...]] = ("CeCriterion",)
    kd_loss: ClassVar[str | None] = "kl"
    picture: ClassVar[str | None] = "confusion"
    problem_type: ClassVar[str | None] = "single_label_classification"

    def __init__(self, task: TaskDef, tokenizer: PreTrainedTokenizerBase | None = None) -> None:
        super().__init__(task, tokenizer)
        self.class_loss = ClassLoss(task)

    @classmethod
    def check(cls, task: TaskDef) -> TaskDef:
        check_class_count(task, at_least=2)
        return check_class_loss(super().check(task))

    @classmethod
    def outcome(cls, task: TaskDef) -> Outcome | None:
        return Outcome.of_classes(task.n_class)

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        assert batch.labels is not None
        if not self.class_loss.is_plain:
            return self.class_loss(logits, batch.labels)
        return F.cross_entropy(logits.float(), batch.labels)

    def loss_units(self, batch: Batch) -> int | Tensor:
        assert batch.labels is not None
        return (
            self.units(batch) if self.class_loss.is_plain else self.class_loss.units(batch.labels)
        )

    def one_against_rest(
        self, predictions: list[Prediction]
    ) -> dict[str, tuple[list[bool], list[float]]]:
        count = self.task.n_class
        return {
            str(self.in_words(c)): (
                [p.gold == c for p in predictions],
                [p.scores[c] for p in predictions],
            )
            for c in ([1] if count == 2 else range(count) if count <= FEW_CLASSES else [])
        }

    def decode(self, logits: Tensor, batch: Batch) -> list[Prediction]:
        probabilities = logits.float().softmax(-1)  # (B, C)
        gold = [None] * len(batch) if batch.labels is None else batch.labels.tolist()
        return [
            Prediction(uid, value, scores, label)
            for uid, value, scores, label in zip(
                batch.uids,
                probabilities.argmax(-1).tolist(),
                probabilities.tolist(),
                gold,
                strict=True,
            )
        ]

    def details(self) -> tuple[str, ...]:
        return ("classes", "confusion", "calibration")

    def confidence(self, value: int, scores: list[float]) -> float:
        return max(scores)

    def named_scores(self, scores: list[float]) -> dict[Any, float]:
        return dict(zip(self.task.labels or range(self.task.n_class), scores, strict=True))
