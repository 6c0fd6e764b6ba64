"""Where in a document the answer stands; logits (B, T, 2), of its start and its end."""

from __future__ import annotations

import dataclasses
from itertools import chain
from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from data_utils.collator import Batch
from data_utils.errors import UserError
from data_utils.formats.mrc import NO_ANSWER_AT
from data_utils.labels import LabelKind, LabelSpec, LabelUnit
from data_utils.task_def import TaskDef
from mt_dnn.config.run import ModelConfig
from mt_dnn.divergences import DIVERGENCES
from mt_dnn.encoders.encoder import Encoder
from mt_dnn.heads.pooled import TokenHead
from mt_dnn.task_types.base import TASK_TYPES, Prediction, TaskType
from mt_dnn.task_types.span_decoding import Found, best_texts, distinct

TEXTS_KEPT = 5
"""Answers that are written with a prediction. The best of a row are among the best of its windows."""


@TASK_TYPES.register("Span", "SpanClassification", "CLUE_SPAN")
class Span(TaskType):
    """Two distributions over the T tokens of a window: one for the answer's start, one for its end.

    BERT's for SQuAD (Devlin et al., arXiv 1810.04805, section 4.2). The loss is the mean of the two
    cross-entropies; a window without the answer points at ``NO_ANSWER_AT``. A span's score is the sum
    of its two logits, not of log-probabilities: those are normalised window by window, so that a
    window without the answer would have a favourite as sure of itself as the right one.

    The row's answer is the best span of all its windows, and there always is one. ``scores``:
    ``score``, its own; ``null``, that of no answer; ``n_best``, the best texts with theirs.
    """

    label: ClassVar[LabelSpec] = LabelSpec(LabelKind.ANSWER, LabelUnit.WINDOW)
    options: ClassVar[dict[str, Any]] = {
        "n_best": 20,  # spans of each window that are looked at; several may have one text
        "max_answer_len": 30,  # tokens
    }
    losses: ClassVar[tuple[str, ...]] = ("SpanCeCriterion",)
    auto_model: ClassVar[str | None] = "AutoModelForQuestionAnswering"

    @classmethod
    def check(cls, task: TaskDef) -> TaskDef:
        if task.labels:
            raise UserError(f"{task.where}: labels: {task.task_type} has none; answers are texts")
        if task.n_class not in (0, 2):
            raise UserError(
                f"{task.where}: n_class: {task.n_class}; {task.task_type} has 2, start and end"
            )
        checked = super().check(dataclasses.replace(task, n_class=2))
        for name in ("n_best", "max_answer_len"):
            if checked.options[name] < 1:
                raise UserError(
                    f"{task.where}: options: {name}: {checked.options[name]}; it must be at least 1"
                )
        return checked

    def build_head(self, encoder: Encoder, config: ModelConfig) -> nn.Module:
        return TokenHead.for_task(encoder, 2, task=self.task, config=config)

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        assert batch.labels is not None
        present = batch.attention_mask.bool().unsqueeze(-1)  # (B, T, 1)
        # T takes the place of the classes, and start and end are two predictions of each window.
        return F.cross_entropy(logits.float().masked_fill(~present, float("-inf")), batch.labels)

    def divergence(
        self, p_logits: Tensor, q_logits: Tensor, batch: Batch, *, name: str | None = None
    ) -> Tensor:
        function = DIVERGENCES.get(self.divergence_name(name))
        present = batch.attention_mask.bool().unsqueeze(-1)  # (B, T, 1)
        return function(p_logits, q_logits, dim=1, mask=present).mean()  # over B, start and end

    def decode(self, logits: Tensor, batch: Batch) -> list[Prediction]:
        logits = logits.float()
        options = self.task.options
        found = best_texts(
            logits, batch, n_best=options["n_best"], max_answer_len=options["max_answer_len"]
        )
        null = logits[:, NO_ANSWER_AT].sum(-1).tolist()  # start and end
        gold = batch.extras.get("answers") or [None] * len(batch)
        return [
            self._prediction(*window) for window in zip(batch.uids, found, null, gold, strict=True)
        ]

    def merge(self, windows: list[Prediction]) -> Prediction:
        found = distinct(chain.from_iterable(window.scores["n_best"] for window in windows))
        null = min(window.scores["null"] for window in windows)
        return self._prediction(windows[0].uid, found, null, windows[0].gold)

    def _prediction(self, uid: str, found: Found, null: float, gold: Any) -> Prediction:
        scores = {
            "score": found[0][1] if found else None,
            "null": null,
            "n_best": [[text, score] for text, score in found[:TEXTS_KEPT]],
        }
        return Prediction(uid, self.choose(found, null), scores, gold)

    def choose(self, found: Found, null: float) -> str:
        """The answer; empty only where no window has a token of the document."""
        return found[0][0] if found else ""

    def unpadded(self, logits: Tensor, batch: Batch) -> list[Tensor]:
        """(T, 2) of each window."""
        lengths = batch.attention_mask.sum(-1).tolist()
        return [row[:length] for row, length in zip(logits, lengths, strict=True)]

    def guess(self, gold: list[list[str]]) -> list[str]:
        """Nothing: which texts there are to choose from is part of the input."""
        return [""] * len(gold)

    def in_words(self, value: Any) -> Any:
        return value


@TASK_TYPES.register("SpanYN", "SpanClassificationYN")
class SpanYN(Span):
    """As Span, and the document may not answer the question: then the answer is empty.

    It is where the score of no answer, the least of all windows, exceeds the best span's by more than
    ``null_threshold``: BERT's rule for SQuAD 2.0 (arXiv 1810.04805, section 4.3).
    """

    options: ClassVar[dict[str, Any]] = {**Span.options, "null_threshold": 0.0}
    losses: ClassVar[tuple[str, ...]] = ("SpanYNCeCriterion",)

    def choose(self, found: Found, null: float) -> str:
        is_null = not found or null - found[0][1] > self.task.options["null_threshold"]
        return "" if is_null else found[0][0]
