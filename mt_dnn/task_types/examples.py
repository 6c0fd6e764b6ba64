"""Base class of task types with one output vector per example; logits (B, C)."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from data_utils.collator import Batch
from mt_dnn.config.run import ModelConfig
from mt_dnn.encoders.encoder import Encoder
from mt_dnn.heads.pooled import sequence_head
from mt_dnn.registries import DIVERGENCES
from mt_dnn.task_types.base import TaskType

FEW_CLASSES = 10
"""Greatest number of classes that have a precision-recall curve each."""


class ExampleTaskType(TaskType):
    """Task types with a pooled head of ``n_class`` outputs.

    The divergence is averaged over the batch.
    """

    has_fixed_shape: ClassVar[bool] = True
    auto_model: ClassVar[str | None] = "AutoModelForSequenceClassification"

    def build_head(self, encoder: Encoder, config: ModelConfig) -> nn.Module:
        return sequence_head(encoder, self.task.n_class, task=self.task, config=config)

    def divergence(
        self, p_logits: Tensor, q_logits: Tensor, batch: Batch, *, name: str | None = None
    ) -> Tensor:
        return DIVERGENCES.get(self.divergence_name(name))(p_logits, q_logits).mean()  # over B
