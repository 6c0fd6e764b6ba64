"""A query with a gap, and candidates to fill it; several may be right (ReCoRD)."""

from __future__ import annotations

from typing import Any, ClassVar

from transformers import PreTrainedTokenizerBase

from data_utils.errors import UserError
from data_utils.formats.base import FORMATS, DataFormat, Example, Row, parse_labels
from data_utils.formats.premise_and_multi_hypothesis import (
    PremiseAndMultiHypothesis,
    candidates,
)
from data_utils.labels import LabelKind, LabelSpec, LabelUnit
from data_utils.task_def import TaskDef

TAB = "\t"
"""Parts no cell, so that a text which is no literal list is one item."""


class ClozeChoice(DataFormat):
    """Stored besides what candidates are stored as: ``choice``, the candidates' own texts, and
    ``answer``, the accepted texts."""

    labels: ClassVar[tuple[LabelSpec, ...]] = (LabelSpec(LabelKind.ANSWER, LabelUnit.CANDIDATE),)
    columns: ClassVar[tuple[str, ...]] = (
        *("uid", "choice", "answer", "label"),
        *("premise", "hypothesis*"),
    )
    text_columns: ClassVar[tuple[str, ...]] = ("premise", "hypothesis*")
    has_candidates: ClassVar[bool] = True

    def parse(self, row: Row, task: TaskDef) -> Example:
        """Without ``choice`` the hypotheses stand for themselves; a test row has no ``answer``."""
        filled = candidates(row)
        choice = (
            [str(c) for c in row.items("choice", separator=TAB)]
            if row.values.get("choice")
            else filled
        )
        if len(choice) != len(filled):
            raise UserError(
                f"{row.where}: {len(choice)} in column 'choice' for {len(filled)} hypotheses"
            )
        label = parse_labels(row, task, count=len(filled), what="candidates", separator=",")
        answer = (
            [str(a) for a in row.items("answer", separator=TAB)] if row.values.get("answer") else []
        )
        if label is not None and not answer:
            answer = [text for text, right in zip(choice, label, strict=True) if right]
        extras = {"choice": choice, "answer": answer}
        return Example(row.text("uid"), (row.text("premise"), *filled), label, extras)

    def encode(
        self,
        examples: list[Example],
        tokenizer: PreTrainedTokenizerBase,
        task: TaskDef,
        *,
        max_seq_len: int,
    ) -> dict[str, list]:
        columns = CANDIDATES.encode(examples, tokenizer, task, max_seq_len=max_seq_len)
        return columns | {
            name: [example.extras[name] for example in examples] for name in ("choice", "answer")
        }

    def soft_label_shape(self, row: dict[str, Any], n_class: int) -> tuple[int, ...]:
        return CANDIDATES.soft_label_shape(row, n_class)


CANDIDATES = PremiseAndMultiHypothesis()
FORMATS.register("ClozeChoice")(ClozeChoice())
