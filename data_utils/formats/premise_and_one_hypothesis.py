"""A sentence pair."""

from __future__ import annotations

from typing import Any, ClassVar

from transformers import PreTrainedTokenizerBase

from data_utils.formats.base import FORMATS, Example, Row, encode_pairs, parse_label
from data_utils.task_def import TaskDef


class PremiseAndOneHypothesis:
    label_per = "example"
    options: ClassVar[dict[str, Any]] = {}
    columns: tuple[str, ...] = ("uid", "label", "premise", "hypothesis")

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
        columns = encode_pairs(first, second, tokenizer, max_seq_len)
        return columns | {"uid": [e.uid for e in examples], "labels": [e.label for e in examples]}


FORMATS.register("PremiseAndOneHypothesis")(PremiseAndOneHypothesis())
