"""Tables of tokenized examples, on disk or in memory, from which batches are made."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from transformers import PreTrainedTokenizerBase

from data_utils.columns import numpy_view, to_arrow
from data_utils.formats import Example
from data_utils.registries import FORMATS
from data_utils.task_def import TaskDef


def tokenize(
    examples: list[Example],
    task: TaskDef,
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_seq_len: int,
) -> tuple[pa.Table, list[bool]]:
    """Tokenize examples.

    Either all examples have a label, or none has one; then there is no column ``labels``.

    Args:
        examples: the parsed examples, at least one.
        task: their task.
        tokenizer: the encoder's tokenizer.
        max_seq_len: greatest length in tokens, if the task does not set its own.

    Returns:
        The table of columns, and for each example whether it was truncated.
    """
    columns = FORMATS.get(task.data_format).encode(
        examples, tokenizer, task, max_seq_len=task.max_seq_len or max_seq_len
    )
    truncated = columns.pop("truncated")
    if examples[0].label is None:
        columns.pop("labels", None)
    return pa.table({name: to_arrow(name, rows) for name, rows in columns.items()}), truncated


class TokenTable:
    """Tokenized examples, accessible by index.

    ``lengths`` (examples,) are the numbers of tokens, special tokens included. For an example with
    candidates, it is the length of the longest one. ``windows`` (examples,) are the numbers of the
    windows, from 0 in every row that was cut into windows; None if no row was. ``labels`` (examples,) are
    the labels where each example has one number or class id, else None.
    """

    def __init__(self, table: pa.Table) -> None:
        self.columns = {name: numpy_view(table[name]) for name in table.column_names}
        self.lengths: np.ndarray = self.columns["input_ids"].widths()
        self.windows: np.ndarray | None = self.columns.get("window")
        labels = self.columns.get("labels")
        self.labels: np.ndarray | None = labels if isinstance(labels, np.ndarray) else None

    def __len__(self) -> int:
        return len(self.lengths)

    def take(self, indices: Iterable[int]) -> dict[str, list]:
        """Return all columns of the given examples.

        Returns:
            Column name -> one entry per example: a numpy array or scalar, or a list.
        """
        indices = list(indices)
        return {
            name: [
                column[i].as_py() if isinstance(column, (pa.Array, pa.ChunkedArray)) else column[i]
                for i in indices
            ]
            for name, column in self.columns.items()
        }
