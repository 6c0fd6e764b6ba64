"""Task type: generation of a text; logits (B, L, V), one vector per token."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any, ClassVar

from torch import Tensor, nn

from data_utils.collator import Batch
from data_utils.errors import UserError
from data_utils.formats import MAX_TARGET_LEN
from data_utils.labels import LabelKind, LabelSpec, LabelUnit
from data_utils.metrics.outcome import Outcome
from data_utils.registries import METRICS
from data_utils.task_def import TaskDef
from mt_dnn.config.run import ModelConfig
from mt_dnn.encoders.encoder import Encoder
from mt_dnn.heads.decoder import DecoderHead
from mt_dnn.task_types.prediction import Prediction
from mt_dnn.task_types.tokens import TokenTaskType


class SequenceGeneration(TokenTaskType):
    """Text-to-text tasks (Raffel et al. 2020, arXiv 1910.10683).

    The head is the decoder of the checkpoint. Evaluation generates greedily.

    If the task has ``labels``, a prediction's value is the class whose label word was generated. Any
    other text becomes the additional class ``n_class``, which no gold label has: it adds a row and a
    column to a confusion matrix and a 0 to the mean of F1MAC. Without ``labels`` the value is the text,
    which is right if it equals the gold text. ``scores`` always has the generated text.

    MT-DNN's task files for T5 have classes without ``labels``: with ``n_class`` of 2 or more and a metric
    that does not measure texts, the label words are ``0``, ``1`` and so on.
    """

    label: ClassVar[LabelSpec] = LabelSpec(LabelKind.TEXT, LabelUnit.EXAMPLE)
    can_average: ClassVar[bool] = False  # each token depends on the model's earlier tokens
    options: ClassVar[dict[str, Any]] = {"max_target_len": MAX_TARGET_LEN}
    losses: ClassVar[tuple[str, ...]] = ("SeqCeCriterion", "CeCriterion")

    @classmethod
    def check(cls, task: TaskDef) -> TaskDef:
        for metric in task.metrics:
            if "scores" in METRICS.get(metric).needs:
                raise UserError(
                    f"{task.where}: metric_meta: {metric} needs probabilities, but {task.task_type} "
                    f"predicts texts; remove it"
                )
        measured = [METRICS.get(metric).fits for metric in task.metrics]
        if task.n_class >= 2 and not all(Outcome.TEXT in fits for fits in measured if fits):
            words = task.labels or tuple(map(str, range(task.n_class)))
            task = dataclasses.replace(task, labels=words)
        return super().check(task)

    @classmethod
    def outcome(cls, task: TaskDef) -> Outcome | None:
        return Outcome.of_classes(len(task.labels)) if task.labels else Outcome.TEXT

    def build_head(self, encoder: Encoder, config: ModelConfig) -> nn.Module:
        return DecoderHead(encoder, head_name=self.task.head_name, where=self.task.where)

    def infer(self, head: nn.Module, hidden: Tensor, batch: Batch) -> Tensor:
        assert isinstance(head, DecoderHead)
        return head.greedy(hidden, batch, longest=self.task.options["max_target_len"])

    def decode(self, logits: Tensor, batch: Batch) -> list[Prediction]:
        texts = [self._text(row.argmax(-1).tolist()) for row in logits]
        gold = batch.extras.get("target") or [None] * len(batch)
        return [
            Prediction(uid, self._value(text), {"text": text}, self._gold(target))
            for uid, text, target in zip(batch.uids, texts, gold, strict=True)
        ]

    def guess(self, gold: list[Any]) -> list[Any]:
        """Return the most frequent label, or empty texts if the task has no labels."""
        if not self.task.labels:
            return [""] * len(gold)
        return [Counter(gold).most_common(1)[0][0]] * len(gold)

    def details(self) -> tuple[str, ...]:
        return ("classes", "confusion") if self.task.labels else ()

    def in_words(self, value: Any) -> Any:
        if isinstance(value, int):
            return self.task.labels[value] if value < len(self.task.labels) else None
        return value

    def _text(self, ids: list[int]) -> str:
        """Decode token ids up to the first end-of-sequence token."""
        assert self.tokenizer is not None
        end = self.tokenizer.eos_token_id
        written = ids[: ids.index(end)] if end in ids else ids
        return str(self.tokenizer.decode(written, skip_special_tokens=True)).strip()

    def _value(self, text: str) -> int | str:
        labels = self.task.labels
        if not labels:
            return text
        return labels.index(text) if text in labels else len(labels)

    def _gold(self, target: str | None) -> int | list[str] | None:
        if target is None:
            return None
        return self.task.labels.index(target) if self.task.labels else [target]
