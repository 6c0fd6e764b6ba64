"""Task type: choice of the phrase that a pronoun refers to, by two models; logits (B, K, 2)."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from data_utils.collator import Batch
from data_utils.errors import UserError
from data_utils.labels import LabelKind, LabelSpec, LabelUnit
from data_utils.registry import choices_hint
from data_utils.task_def import TaskDef
from mt_dnn.config.run import ModelConfig
from mt_dnn.encoders.encoder import Encoder
from mt_dnn.heads.hybrid import BOTH, MLM, PARTS, SSM, HybridHead
from mt_dnn.task_types.cloze_choice import ClozeChoice


class HNN(ClozeChoice):
    """Hybrid neural network for commonsense reasoning (He et al. 2019, arXiv 1907.11983).

    The logits of a candidate C are log P_mlm(C | S), of the masked language model, and Sim(C, S), of the
    semantic similarity model (:class:`mt_dnn.heads.hybrid.HybridHead`). With P_ssm = sigmoid(Sim),

        Score(C, S) = (P_mlm(C | S) + P_ssm(C | S)) / 2

    and the candidate with the highest score is predicted. The loss of an example is
    L = L_mlm + L_ssm + L_rank with

        L_mlm  = -log P_mlm(C+ | S)
        L_ssm  = the mean over candidates of the binary cross-entropy of P_ssm
        L_rank = -log softmax_C(gamma (Score(C, S) + beta [C != C+])) at C+

    where C+ is the right candidate; of several, the mean counts. With the option ``part: mlm`` or
    ``part: ssm``, the score and the loss are those of one model: Score = P_mlm or P_ssm, and L has no term
    of the other. Both sequences of a candidate are encoded in any case.

    SMART's l_s is the divergence between the distributions P_rank = softmax_C(gamma Score), from which
    the prediction is taken. It is 0 for an example with one candidate. P_rank are also the
    probabilities of a prediction.

    The formulas are those of hnn/src/apps/hnn_model.py with the settings of hnn_train_large.sh, which
    trains on two candidates: then L_ssm is its ``binary_loss``.
    """

    label: ClassVar[LabelSpec] = LabelSpec(LabelKind.ANTECEDENT, LabelUnit.CANDIDATE)
    options: ClassVar[dict[str, Any]] = {"part": BOTH, "rank_scale": 10.0, "rank_margin": 0.6}
    takes_san: ClassVar[bool] = False
    losses: ClassVar[tuple[str, ...]] = ()
    auto_model: ClassVar[str | None] = None
    kd_loss: ClassVar[str | None] = None

    @classmethod
    def check(cls, task: TaskDef) -> TaskDef:
        task = super().check(task)
        where, part = f"{task.where}: options", task.options["part"]
        if part not in PARTS:
            raise UserError(f"{where}: part: {part!r} is no part.{choices_hint(part, PARTS)}")
        if not task.options["rank_scale"] > 0:
            raise UserError(f"{where}: rank_scale: {task.options['rank_scale']} is not positive")
        if not task.options["rank_margin"] >= 0:
            raise UserError(f"{where}: rank_margin: {task.options['rank_margin']} is negative")
        return task

    def build_head(self, encoder: Encoder, config: ModelConfig) -> nn.Module:
        return HybridHead(encoder, part=self.task.options["part"])

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        """Compute the mean of L over the examples that have a right candidate."""
        assert batch.labels is not None
        present, part = self.present(batch), self.task.options["part"]
        log_p, similar = self._wide(logits, present).unbind(-1)  # (B, K) each
        right = ((batch.labels > 0) & present).to(log_p.dtype)
        total = right.sum(-1)  # (B,)
        share = right / total.clamp(min=1).unsqueeze(-1)
        margin = self.task.options["rank_margin"] * (1 - right)
        ranked = self.ranking(logits, batch) + self.task.options["rank_scale"] * margin
        log_rank = ranked.masked_fill(~present, float("-inf")).log_softmax(-1)
        each = -(share * log_rank.masked_fill(~present, 0.0)).sum(-1)  # L_rank, (B,)
        if part in (BOTH, MLM):
            each = each - (share * log_p).sum(-1)
        if part in (BOTH, SSM):
            own = F.binary_cross_entropy_with_logits(similar, right, reduction="none")
            each = each + own.masked_fill(~present, 0.0).sum(-1) / present.sum(-1)
        counted = total > 0
        return each.masked_fill(~counted, 0.0).sum() / counted.sum().clamp(min=1)

    def ranking(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return gamma Score, (B, K): the logits of P_rank."""
        log_p, similar = self._wide(logits, self.present(batch)).unbind(-1)
        scores = {MLM: log_p.exp(), SSM: similar.sigmoid()}
        part = self.task.options["part"]
        score = scores[part] if part in scores else sum(scores.values()) / 2
        return self.task.options["rank_scale"] * score

    @staticmethod
    def present(batch: Batch) -> Tensor:
        """Return the mask of candidates that are not padding, (B, K): each has two sequences."""
        assert batch.candidate_mask is not None
        return batch.candidate_mask[:, ::2]

    @staticmethod
    def _wide(logits: Tensor, present: Tensor) -> Tensor:
        """Return the logits in float32 or wider, with 0 where a candidate is absent."""
        wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return wide.masked_fill(~present.unsqueeze(-1), 0.0)
