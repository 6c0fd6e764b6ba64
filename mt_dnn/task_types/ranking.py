"""Which candidates are relevant; logits (B, K), candidates beyond an example's own masked."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from data_utils.collator import Batch
from data_utils.registry import UserError
from data_utils.task_def import TaskDef
from mt_dnn.config import ModelConfig
from mt_dnn.divergences import DIVERGENCES
from mt_dnn.heads import CandidateHead
from mt_dnn.task_types.base import TASK_TYPES, BaseTaskType, Prediction


@TASK_TYPES.register("Ranking")
class Ranking(BaseTaskType):
    """Listwise cross-entropy (ListNet, Cao et al. 2007, top-one form) over one example's candidates.

    The target distribution is the candidates' relevance divided by its sum: for one relevant
    candidate the softmax loss of MT-DNN (arXiv 1901.11504, eq. 5). An example without a relevant
    candidate carries no loss. The best-scored candidate is predicted 1, the others 0; scores
    compare these candidate by candidate, as MT-DNN does for QNLI.
    """

    label_per: ClassVar[str] = "candidate"
    losses: ClassVar[tuple[str, ...]] = ("RankCeCriterion",)

    @classmethod
    def check(cls, task: TaskDef) -> TaskDef:
        if task.labels and len(task.labels) != 2:
            raise UserError(f"{task.where}: Ranking takes two labels, [irrelevant, relevant]")
        return super().check(task)

    def build_head(self, hidden_size: int, config: ModelConfig) -> CandidateHead:
        return CandidateHead.for_task(hidden_size, 1, task=self.task, config=config)

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        assert batch.labels is not None
        present = self._present(batch)
        log_p = logits.float().masked_fill(~present, float("-inf")).log_softmax(-1)
        log_p = log_p.masked_fill(~present, 0.0)  # absent: 0 * -inf would be NaN
        relevance = batch.labels.float().clamp(min=0).masked_fill(~present, 0.0)  # (B, K)
        total = relevance.sum(-1)  # (B,)
        loss = -(relevance * log_p).sum(-1) / total.clamp(min=torch.finfo(total.dtype).tiny)
        return loss.sum() / (total > 0).sum().clamp(min=1)

    def divergence(
        self, p_logits: Tensor, q_logits: Tensor, batch: Batch, *, name: str | None = None
    ) -> Tensor:
        function = DIVERGENCES.get(self.divergence_name(name))
        return function(p_logits, q_logits, mask=self._present(batch)).mean()  # over B

    def decode(self, logits: Tensor, batch: Batch) -> list[Prediction]:
        present = self._present(batch)
        masked = logits.float().masked_fill(~present, float("-inf"))
        probabilities = masked.softmax(-1)
        best = masked.argmax(-1).tolist()
        predictions = []
        for row, uid in enumerate(batch.uids):
            k = int(present[row].sum())
            value = [int(i == best[row]) for i in range(k)]
            gold = None if batch.labels is None else batch.labels[row, :k].tolist()
            predictions.append(Prediction(uid, value, probabilities[row, :k].tolist(), gold))
        return predictions

    @staticmethod
    def _present(batch: Batch) -> Tensor:
        assert batch.candidate_mask is not None
        return batch.candidate_mask  # (B, K)
