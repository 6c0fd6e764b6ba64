"""What task types with a distribution at each position share; logits (B, T, C)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from data_utils.collator import IGNORE, Batch
from mt_dnn.divergences import DIVERGENCES
from mt_dnn.task_types.base import TaskType


class TokenTaskType(TaskType):
    """Cross-entropy and symmetric KL over C, both means over the labelled positions of the batch."""

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
        # Absent rather than multiplied by 0: what stands there may be anything.
        mask = labelled.unsqueeze(-1).expand_as(p_logits)
        values = DIVERGENCES.get(self.divergence_name(name))(p_logits, q_logits, mask=mask)
        return values.sum() / labelled.sum().clamp(min=1)

    def labels(self, logits: Tensor, batch: Batch) -> Tensor:
        """(B, T), padded as the logits are; where a row has none, every real token counts as labelled.

        The latter lets two predictions on unlabelled text be compared.
        """
        if batch.labels is None:
            return torch.where(batch.attention_mask.bool(), 0, IGNORE)
        return F.pad(batch.labels, (0, logits.shape[1] - batch.labels.shape[1]), value=IGNORE)
