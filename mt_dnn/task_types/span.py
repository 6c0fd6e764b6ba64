"""Task type: the answer span in a document; logits (B, T, 2) of start and end."""

from __future__ import annotations

import dataclasses
import math
from itertools import chain
from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from data_utils.collator import Batch
from data_utils.errors import UserError
from data_utils.formats.mrc import NO_ANSWER_AT
from data_utils.labels import LabelKind, LabelSpec, LabelUnit
from data_utils.metrics.outcome import Outcome
from data_utils.task_def import TaskDef
from mt_dnn.config.run import ModelConfig
from mt_dnn.encoders.encoder import Encoder
from mt_dnn.heads.pooled import TokenHead
from mt_dnn.registries import DIVERGENCES
from mt_dnn.task_types.base import TaskType
from mt_dnn.task_types.prediction import Prediction
from mt_dnn.task_types.span_decoding import Found, best_texts, distinct

TEXTS_KEPT = 5
"""Answers kept per window and per row; 5 of each window include the 5 best of the row."""


class Span(TaskType):
    """Extraction of an answer span, as in BERT for SQuAD (arXiv 1810.04805, section 4.2).

    The model predicts two distributions over the T tokens of a window, one for the start and one for
    the end of the answer. The loss is the mean of the two cross-entropies. In a window without the
    answer, both targets are ``NO_ANSWER_AT``.

    The score of a span is the sum of its start and end logits. Log-probabilities would be
    normalised per window, and a window without the answer could score as high as the right one.

    The answer of a row is the best span of all its windows; this type never predicts "no answer".
    ``scores`` of a prediction has ``score``, the score of the answer; ``null``, the score of no answer;
    and ``n_best``, the best texts with their scores.
    """

    label: ClassVar[LabelSpec] = LabelSpec(LabelKind.ANSWER, LabelUnit.WINDOW)
    options: ClassVar[dict[str, Any]] = {
        "n_best": 20,  # spans considered in each window; some may have the same text
        "max_answer_len": 30,  # tokens
    }
    losses: ClassVar[tuple[str, ...]] = ("SpanCeCriterion",)
    auto_model: ClassVar[str | None] = "AutoModelForQuestionAnswering"

    @classmethod
    def check(cls, task: TaskDef) -> TaskDef:
        if task.labels:
            raise UserError(
                f"{task.where}: labels: {task.task_type} answers with texts; remove labels"
            )
        if task.n_class not in (0, 2):
            raise UserError(
                f"{task.where}: n_class: {task.n_class}; {task.task_type} has 2 outputs, start and end"
            )
        checked = super().check(dataclasses.replace(task, n_class=2))
        for name in ("n_best", "max_answer_len"):
            if checked.options[name] < 1:
                raise UserError(
                    f"{task.where}: options: {name}: {checked.options[name]}; it must be at least 1"
                )
        return checked

    @classmethod
    def outcome(cls, task: TaskDef) -> Outcome | None:
        return Outcome.TEXT

    def build_head(self, encoder: Encoder, config: ModelConfig) -> nn.Module:
        return TokenHead.for_task(encoder, 2, task=self.task, config=config)

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        assert batch.labels is not None
        present = batch.attention_mask.bool().unsqueeze(-1)  # (B, T, 1)
        # The T positions are the classes; start and end are two predictions per window.
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
        """Return the answer; it is empty only if no window has a token of the document."""
        return found[0][0] if found else ""

    def unpadded(self, logits: Tensor, batch: Batch) -> list[Tensor]:
        """Return the logits (T, 2) of each window."""
        lengths = batch.attention_mask.sum(-1).tolist()
        return [row[:length] for row, length in zip(logits, lengths, strict=True)]

    def guess(self, gold: list[list[str]]) -> list[str]:
        """Return empty texts: no single text can be an answer in every document."""
        return [""] * len(gold)

    def details(self) -> tuple[str, ...]:
        return ("answers",)

    def confidence(self, value: str, scores: dict[str, Any]) -> float | None:
        """Return the probability of the answer among the texts that are kept, by the softmax of scores.

        It orders the answers of a data set. It is not calibrated, because other spans are left out.
        """
        return _share(scores["score"], [score for _, score in scores["n_best"]])

    def in_words(self, value: Any) -> Any:
        return value


class SpanYN(Span):
    """Extraction of an answer span from a document that may not contain the answer.

    The answer is empty if the score of no answer exceeds the score of the best span by more than
    ``null_threshold``. The score of no answer is the minimum over the row's windows. This is BERT's
    rule for SQuAD 2.0 (arXiv 1810.04805, section 4.3).
    """

    options: ClassVar[dict[str, Any]] = {**Span.options, "null_threshold": 0.0}
    losses: ClassVar[tuple[str, ...]] = ("SpanYNCeCriterion", "SpanCeCriterion")

    def choose(self, found: Found, null: float) -> str:
        is_null = not found or null - found[0][1] > self.task.options["null_threshold"]
        return "" if is_null else found[0][0]

    def confidence(self, value: str, scores: dict[str, Any]) -> float | None:
        """Return the probability of the answer, or of no answer, among the texts that are kept."""
        chosen = scores["score"] if value else scores["null"]
        return _share(chosen, [scores["null"], *(score for _, score in scores["n_best"])])


def _share(chosen: float | None, scores: list[float]) -> float | None:
    """Return the softmax of ``scores`` at the score ``chosen``; None without a score."""
    if chosen is None:
        return None
    return 1 / sum(math.exp(min(score - chosen, 700.0)) for score in scores)
