"""One of C classes; logits (B, C)."""

from __future__ import annotations

from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from data_utils.collator import Batch
from data_utils.task_def import TaskDef
from mt_dnn.config.run import ModelConfig
from mt_dnn.divergences import DIVERGENCES
from mt_dnn.encoders.encoder import Encoder
from mt_dnn.heads.pooled import sequence_head
from mt_dnn.task_types.base import TASK_TYPES, BaseTaskType, Prediction, check_class_count


@TASK_TYPES.register("Classification", "CLUE_CLASSIFICATION")
class Classification(BaseTaskType):
    """Cross-entropy; symmetric KL over the classes; arg max."""

    takes_san: ClassVar[bool] = True
    losses: ClassVar[tuple[str, ...]] = ("CeCriterion",)
    kd_loss: ClassVar[str | None] = "kl"
    picture: ClassVar[str | None] = "confusion"
    auto_model: ClassVar[str | None] = "AutoModelForSequenceClassification"

    @classmethod
    def check(cls, task: TaskDef) -> TaskDef:
        check_class_count(task, at_least=2)
        return super().check(task)

    def build_head(self, encoder: Encoder, config: ModelConfig) -> nn.Module:
        return sequence_head(encoder, self.task.n_class, task=self.task, config=config)

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        assert batch.labels is not None
        return F.cross_entropy(logits.float(), batch.labels)

    def divergence(
        self, p_logits: Tensor, q_logits: Tensor, batch: Batch, *, name: str | None = None
    ) -> Tensor:
        return DIVERGENCES.get(self.divergence_name(name))(p_logits, q_logits).mean()  # over B

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

    def named_scores(self, scores: list[float]) -> dict[Any, float]:
        return dict(zip(self.task.labels or range(self.task.n_class), scores, strict=True))
