"""Tokenized examples in columns, on disk or in memory: the source of batches."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from transformers import PreTrainedTokenizerBase

from data_utils.columns import to_arrow, view
from data_utils.formats import FORMATS, Example
from data_utils.task_def import TaskDef


def tokenize(
    examples: list[Example],
    task: TaskDef,
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_seq_len: int,
) -> tuple[pa.Table, int]:
    """The examples' columns, and how many of them were truncated.

    Either all examples have a label, or none has one and there is no column ``labels``.
    """
    columns = FORMATS.get(task.data_format).encode(
        examples, tokenizer, task, max_seq_len=task.max_seq_len or max_seq_len
    )
    truncated = sum(columns.pop("truncated"))
    if examples[0].label is None:
        columns.pop("labels", None)
    return pa.table({name: to_arrow(name, rows) for name, rows in columns.items()}), truncated


class TokenTable:
    """Columns by name, and examples out of them by index.

    ``lengths`` (examples,) are token counts, special tokens included; of the longest candidate
    where an example has several.
    """

    def __init__(self, table: pa.Table) -> None:
        self.columns = {name: view(table[name]) for name in table.column_names}
        self.lengths: np.ndarray = self.columns["input_ids"].widths()

    def __len__(self) -> int:
        return len(self.lengths)

    def take(self, indices: Iterable[int]) -> dict[str, list]:
        """The named columns of the given examples, as lists of numpy rows or scalars."""
        indices = list(indices)
        return {
            name: [
                column[i].as_py() if isinstance(column, pa.Array) else column[i] for i in indices
            ]
            for name, column in self.columns.items()
        }
