"""Data format: a query with a gap and candidate fillers, several possibly right (ReCoRD)."""

from __future__ import annotations

from typing import Any, ClassVar

from transformers import PreTrainedTokenizerBase

from data_utils.errors import UserError
from data_utils.formats.base import DataFormat, Example, Row
from data_utils.formats.premise_and_multi_hypothesis import (
    PremiseAndMultiHypothesis,
    candidates,
)
from data_utils.formats.rows import parse_labels
from data_utils.labels import LabelKind, LabelSpec, LabelUnit
from data_utils.task_def import TaskDef

TAB = "\t"
"""No cell contains a tab, so splitting at it keeps a text that is not a list as one item."""


class ClozeChoice(DataFormat):
    """Candidates that fill a gap, as in ReCoRD.

    A candidate is stored as in PremiseAndMultiHypothesis. Further columns are ``choice``, the text of
    each candidate, and ``answer``, the list of accepted texts.
    """

    labels: ClassVar[tuple[LabelSpec, ...]] = (LabelSpec(LabelKind.ANSWER, LabelUnit.CANDIDATE),)
    columns: ClassVar[tuple[str, ...]] = (
        *("uid", "choice", "answer", "label"),
        *("premise", "hypothesis*"),
    )
    text_columns: ClassVar[tuple[str, ...]] = ("premise", "hypothesis*")
    shared_column: ClassVar[str | None] = "premise"
    has_candidates: ClassVar[bool] = True

    def parse(self, row: Row, task: TaskDef) -> Example:
        """Parse a row.

        ``choice`` defaults to the hypotheses, and ``answer`` to the choices labelled right. A test row
        has no label and may have no ``answer``.

        Raises:
            UserError: ``choice`` or ``label`` do not have one entry per hypothesis.
        """
        filled = candidates(row)
        choice = row.texts("choice", separator=TAB) if row.values.get("choice") else filled
        if len(choice) != len(filled):
            raise UserError(
                f"{row.where}: column 'choice' has {len(choice)} texts for {len(filled)} hypotheses; "
                f"give one for each"
            )
        label = parse_labels(row, task, count=len(filled), what="candidates", separator=",")
        answer = row.texts("answer", separator=TAB) if row.values.get("answer") else []
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
