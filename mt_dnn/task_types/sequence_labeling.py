"""Task type: a label for each word; logits (B, T, C), used at first sub-words."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from data_utils.collator import Batch
from data_utils.labels import LabelKind, LabelSpec, LabelUnit
from data_utils.metrics.outcome import Outcome
from data_utils.metrics.tag_scheme import DETECTED, check_tag_scheme
from data_utils.task_def import TaskDef
from mt_dnn.config.run import ModelConfig
from mt_dnn.encoders.encoder import Encoder
from mt_dnn.heads.pooled import TokenHead
from mt_dnn.task_types.checks import check_class_count
from mt_dnn.task_types.class_loss import OPTIONS, ClassLoss, check_class_loss
from mt_dnn.task_types.prediction import Prediction
from mt_dnn.task_types.tokens import TokenTaskType

OUTSIDE = "O"
"""Label word of words outside of entities."""


class SequenceLabeling(TokenTaskType):
    """Labelling of words.

    Each word is predicted at its first sub-word. A truncated word has no logits: its prediction is
    ``O``, or the first label if there is no ``O``, with probability 0. Metrics therefore include it, apart
    from ECE.

    The loss is cross-entropy over words, with the options ``label_smoothing`` and ``class_weights`` of
    :class:`~mt_dnn.task_types.class_loss.ClassLoss`. The option ``tag_scheme`` is for the metrics of
    entities (data_utils/metrics/tag_scheme.py).
    """

    label: ClassVar[LabelSpec] = LabelSpec(LabelKind.CLASS, LabelUnit.WORD)
    options: ClassVar[dict[str, Any]] = {**OPTIONS, "tag_scheme": DETECTED}
    losses: ClassVar[tuple[str, ...]] = ("SeqCeCriterion", "CeCriterion")
    kd_loss: ClassVar[str | None] = "kl"
    picture: ClassVar[str | None] = "confusion"
    auto_model: ClassVar[str | None] = "AutoModelForTokenClassification"

    def __init__(self, task: TaskDef, tokenizer: PreTrainedTokenizerBase | None = None) -> None:
        super().__init__(task, tokenizer)
        self.class_loss = ClassLoss(task)

    @classmethod
    def check(cls, task: TaskDef) -> TaskDef:
        check_class_count(task, at_least=2)
        task = check_class_loss(super().check(task))
        if task.options["tag_scheme"] != DETECTED:  # else only the metrics of entities need one
            check_tag_scheme(task)
        return task

    @classmethod
    def outcome(cls, task: TaskDef) -> Outcome | None:
        return Outcome.WORDS

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        if self.class_loss.is_plain:
            return super().loss(logits, batch)
        return self.class_loss(logits.flatten(0, 1), self.labels(logits, batch).flatten())

    def loss_units(self, batch: Batch) -> int | Tensor:
        assert batch.labels is not None
        return (
            self.units(batch) if self.class_loss.is_plain else self.class_loss.units(batch.labels)
        )

    def build_head(self, encoder: Encoder, config: ModelConfig) -> nn.Module:
        return TokenHead.for_task(encoder, self.task.n_class, task=self.task, config=config)

    def soft_logits(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return the teacher's logits (B, T, C), padded to the T of ``logits``."""
        soft = super().soft_logits(logits, batch)
        return F.pad(soft, (0, 0, 0, logits.shape[1] - soft.shape[1]))

    def decode(self, logits: Tensor, batch: Batch) -> list[Prediction]:
        scores, best = logits.float().softmax(-1).max(-1)  # (B, T) both
        labels = self.task.labels
        outside = labels.index(OUTSIDE) if OUTSIDE in labels else 0
        gold = batch.extras.get("word_labels") or [None] * len(batch)
        predictions = []
        for row, (uid, starts) in enumerate(
            zip(batch.uids, batch.extras["word_starts"], strict=True)
        ):
            starts = starts.tolist()
            predictions.append(
                Prediction(
                    uid,
                    [int(best[row, t]) if t >= 0 else outside for t in starts],
                    [float(scores[row, t]) if t >= 0 else 0.0 for t in starts],
                    None if gold[row] is None else gold[row].tolist(),
                )
            )
        return predictions

    def details(self) -> tuple[str, ...]:
        return ("words", "confusion", "calibration")

    def confidence(self, value: list[int], scores: list[float]) -> list[float]:
        return scores

    def unpadded(self, logits: Tensor, batch: Batch) -> list[Tensor]:
        """Return the logits (words, C) of each example.

        A word that was truncated or has no token gets NaN, so that the index of a word does not depend
        on the tokenizer.
        """
        rows = []
        for row, starts in zip(logits, batch.extras["word_starts"], strict=True):
            at = torch.tensor(starts)
            rows.append(row[at.clamp(min=0)].masked_fill(at.unsqueeze(-1) < 0, math.nan))
        return rows
