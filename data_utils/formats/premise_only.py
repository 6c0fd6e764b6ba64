"""One sentence."""

from __future__ import annotations

from typing import Any, ClassVar

from transformers import PreTrainedTokenizerBase

from data_utils.formats.base import FORMATS, Example, Row, encode_pairs, parse_label
from data_utils.task_def import TaskDef


class PremiseOnly:
    label_per = "example"
    options: ClassVar[dict[str, Any]] = {}
    columns: tuple[str, ...] = ("uid", "label", "premise")

    def parse(self, row: Row, task: TaskDef) -> Example:
        return Example(row.text("uid"), (row.text("premise"),), parse_label(row, task))

    def encode(
        self,
        examples: list[Example],
        tokenizer: PreTrainedTokenizerBase,
        task: TaskDef,
        *,
        max_seq_len: int,
    ) -> dict[str, list]:
        columns = encode_pairs([e.texts[0] for e in examples], None, tokenizer, max_seq_len)
        return columns | {"uid": [e.uid for e in examples], "labels": [e.label for e in examples]}


FORMATS.register("PremiseOnly")(PremiseOnly())
