"""Data format: a sentence pair."""

from __future__ import annotations

from typing import ClassVar

from transformers import PreTrainedTokenizerBase

from data_utils.formats.base import DataFormat, Example, Row
from data_utils.formats.rows import (
    EXAMPLE_LABELS,
    EXAMPLE_TOKEN_ROWS,
    label_columns,
    parse_label,
)
from data_utils.formats.windows import encode_texts
from data_utils.labels import LabelSpec
from data_utils.task_def import TaskDef


class PremiseAndOneHypothesis(DataFormat):
    """A sentence pair with one label."""

    labels: ClassVar[tuple[LabelSpec, ...]] = EXAMPLE_LABELS
    takes_windows: ClassVar[bool] = True
    token_row_labels: ClassVar[tuple[LabelSpec, ...]] = EXAMPLE_TOKEN_ROWS
    columns: ClassVar[tuple[str, ...]] = ("uid", "label", "premise", "hypothesis")
    text_columns: ClassVar[tuple[str, ...]] = ("premise", "hypothesis")

    def parse(self, row: Row, task: TaskDef) -> Example:
        texts = (row.text("premise"), row.text("hypothesis"))
        return Example(row.text("uid"), texts, parse_label(row, task))

    def encode(
        self,
        examples: list[Example],
        tokenizer: PreTrainedTokenizerBase,
        task: TaskDef,
        *,
        max_seq_len: int,
    ) -> dict[str, list]:
        first, second = ([e.texts[i] for e in examples] for i in (0, 1))
        columns = encode_texts(first, second, tokenizer, max_seq_len, task.windows)
        return (
            columns | {"uid": [e.uid for e in examples]} | label_columns(examples, tokenizer, task)
        )
