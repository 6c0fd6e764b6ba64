"""Base class of task types over candidates; logits (B, K).

B is the number of examples and K the greatest number of candidates. Padding candidates are masked.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from data_utils.collator import Batch
from data_utils.labels import LabelKind, LabelSpec, LabelUnit
from mt_dnn.config.run import ModelConfig
from mt_dnn.encoders.encoder import Encoder
from mt_dnn.heads.pooled import CandidateHead, sequence_head
from mt_dnn.registries import DIVERGENCES
from mt_dnn.task_types.base import TaskType


class CandidateTaskType(TaskType):
    """Task types with listwise cross-entropy (ListNet, Cao et al. 2007, top-one form).

    The target distribution is the relevance of an example's candidates, divided by its sum. With one
    relevant candidate the loss equals MT-DNN's softmax loss (arXiv 1901.11504, eq. 5). It is the
    mean over examples with a relevant candidate; other examples are ignored.
    """

    label: ClassVar[LabelSpec] = LabelSpec(LabelKind.RELEVANCE, LabelUnit.CANDIDATE)
    has_candidates: ClassVar[bool] = True
    takes_san: ClassVar[bool] = True
    auto_model: ClassVar[str | None] = "AutoModelForMultipleChoice"
    kd_loss: ClassVar[str | None] = "kl"

    def build_head(self, encoder: Encoder, config: ModelConfig) -> nn.Module:
        return CandidateHead(sequence_head(encoder, 1, task=self.task, config=config))

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        assert batch.labels is not None
        present = self.present(batch)
        log_p = logits.float().masked_fill(~present, float("-inf")).log_softmax(-1)
        log_p = log_p.masked_fill(~present, 0.0)  # for padding candidates, 0 * -inf would be NaN
        relevance = batch.labels.float().clamp(min=0).masked_fill(~present, 0.0)  # (B, K)
        total = relevance.sum(-1)  # (B,)
        loss = -(relevance * log_p).sum(-1) / total.clamp(min=torch.finfo(total.dtype).tiny)
        return loss.sum() / (total > 0).sum().clamp(min=1)

    def loss_units(self, batch: Batch) -> Tensor:
        """Return the number of examples with a relevant candidate."""
        assert batch.labels is not None
        return ((batch.labels > 0) & self.present(batch)).any(-1).sum()

    def divergence(
        self, p_logits: Tensor, q_logits: Tensor, batch: Batch, *, name: str | None = None
    ) -> Tensor:
        function = DIVERGENCES.get(self.divergence_name(name))
        p, q = self.ranking(p_logits, batch), self.ranking(q_logits, batch)
        return function(p, q, mask=self.present(batch)).mean()  # over B

    def unpadded(self, logits: Tensor, batch: Batch) -> list[Tensor]:
        return [row[own] for row, own in zip(logits, self.present(batch), strict=True)]

    def probabilities(self, logits: Tensor, batch: Batch) -> list[list[float]]:
        """Return the probabilities of each example's candidates, without padding."""
        rows = self.unpadded(self.ranking(logits, batch), batch)
        return [row.float().softmax(-1).tolist() for row in rows]

    def ranking(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return the logits of the distribution over an example's candidates, (B, K).

        By default they are the logits themselves. A type whose head computes several numbers for a
        candidate combines them here.
        """
        return logits

    def relevance(self, batch: Batch) -> list[list[int] | None]:
        """Return 1 for each relevant candidate of an example, else 0; None if unlabelled."""
        if batch.labels is None:
            return [None] * len(batch)
        counts = self.present(batch).sum(-1).tolist()
        relevant = (batch.labels > 0).long()
        return [row[:k].tolist() for row, k in zip(relevant, counts, strict=True)]

    @staticmethod
    def present(batch: Batch) -> Tensor:
        """Return the mask of candidates that are not padding, (B, K) bool."""
        assert batch.candidate_mask is not None
        return batch.candidate_mask
