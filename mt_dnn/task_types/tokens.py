"""Base class of task types with a prediction at each position; logits (B, T, C)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from data_utils.collator import IGNORE, Batch
from mt_dnn.registries import DIVERGENCES
from mt_dnn.task_types.base import TaskType


class TokenTaskType(TaskType):
    """Task types with cross-entropy and, by default, symmetric KL at each position.

    Both are averaged over the labelled positions of the batch.
    """

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        labels = self.labels(logits, batch)
        loss = F.cross_entropy(
            logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORE, reduction="sum"
        )
        return loss / (labels != IGNORE).sum().clamp(min=1)

    def divergence(
        self, p_logits: Tensor, q_logits: Tensor, batch: Batch, *, name: str | None = None
    ) -> Tensor:
        labelled = self.labels(p_logits, batch) != IGNORE  # (B, T)
        # Masked rather than multiplied by 0, because values at unlabelled positions may be inf or NaN.
        mask = labelled.unsqueeze(-1).expand_as(p_logits)
        values = DIVERGENCES.get(self.divergence_name(name))(p_logits, q_logits, mask=mask)
        return values.sum() / labelled.sum().clamp(min=1)

    def units(self, batch: Batch) -> Tensor:
        """Return the number of labelled positions; of real tokens in an unlabelled batch."""
        if batch.labels is None:
            return batch.attention_mask.bool().sum()
        return (batch.labels != IGNORE).sum()

    def labels(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return the labels (B, T), padded to the T of ``logits``.

        For an unlabelled batch, all real tokens count as labelled, so that the divergence of two
        predictions is defined on unlabelled text.
        """
        if batch.labels is None:
            return torch.where(batch.attention_mask.bool(), 0, IGNORE)
        return F.pad(batch.labels, (0, logits.shape[1] - batch.labels.shape[1]), value=IGNORE)
