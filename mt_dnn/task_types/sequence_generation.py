"""A text to write; logits (B, L, V), of each of its tokens."""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar

from torch import Tensor, nn

from data_utils.collator import Batch
from data_utils.errors import UserError
from data_utils.formats import MAX_TARGET_LEN
from data_utils.labels import LabelKind, LabelSpec, LabelUnit
from data_utils.metrics import METRICS
from data_utils.task_def import TaskDef
from mt_dnn.config.run import ModelConfig
from mt_dnn.encoders.encoder import Encoder
from mt_dnn.heads.decoder import DecoderHead
from mt_dnn.task_types.base import TASK_TYPES, Prediction
from mt_dnn.task_types.tokens import TokenTaskType


@TASK_TYPES.register("SequenceGeneration", "SeqenceGeneration")
class SequenceGeneration(TokenTaskType):
    """Text to text (Raffel et al. 2020, arXiv 1910.10683): the head is the checkpoint's decoder.

    Evaluation writes greedily. With ``labels`` the value is the class whose label word was written,
    ``n_class`` where it is none of them: a further class, which no gold label has (a confusion matrix
    gets its row and column, F1MAC averages its 0 in). Without labels it is the text, and an equal text
    is right. The text itself stands in the scores.
    """

    label: ClassVar[LabelSpec] = LabelSpec(LabelKind.TEXT, LabelUnit.EXAMPLE)
    can_average: ClassVar[bool] = False  # each token depends on those that the same model wrote
    options: ClassVar[dict[str, Any]] = {"max_target_len": MAX_TARGET_LEN}
    losses: ClassVar[tuple[str, ...]] = ("SeqCeCriterion", "CeCriterion")

    @classmethod
    def check(cls, task: TaskDef) -> TaskDef:
        for metric in task.metrics:
            if "scores" in METRICS.get(metric).needs:
                raise UserError(
                    f"{task.where}: metric_meta: {metric} needs probabilities, and {task.task_type} "
                    f"gives a text"
                )
        return super().check(task)

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
        """The most frequent label; of free texts none."""
        if not self.task.labels:
            return [""] * len(gold)
        return [Counter(gold).most_common(1)[0][0]] * len(gold)

    def in_words(self, value: Any) -> Any:
        if isinstance(value, int):
            return self.task.labels[value] if value < len(self.task.labels) else None
        return value

    def _text(self, ids: list[int]) -> str:
        """Up to the end that was written."""
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
