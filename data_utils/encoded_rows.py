"""Tokenized rows of one task, from which batches are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from data_utils.collator import Batch, make_batch
from data_utils.formats import Example
from data_utils.store import StoreSubset, TaskStore
from data_utils.task_def import TaskDef
from data_utils.token_table import TokenTable, tokenize


@dataclass(frozen=True)
class EncodedRows:
    """Tokenized rows of one task, in memory or memory-mapped from a store."""

    task: str
    table: TokenTable | StoreSubset
    """The examples. A row that was cut into windows has one example per window."""
    pad_token_id: int

    @classmethod
    def from_store(cls, store: TaskStore | StoreSubset) -> EncodedRows:
        """The rows of a prepared store."""
        return cls(store.manifest.task, store, store.manifest.pad_token_id)

    @classmethod
    def from_examples(
        cls,
        examples: list[Example],
        task: TaskDef,
        tokenizer: PreTrainedTokenizerBase,
        *,
        max_seq_len: int,
    ) -> EncodedRows:
        """Tokenize parsed rows; the arguments are those of :func:`data_utils.token_table.tokenize`."""
        table, _ = tokenize(examples, task, tokenizer, max_seq_len=max_seq_len)
        return cls(task.name, TokenTable(table), int(tokenizer.pad_token_id or 0))

    def __len__(self) -> int:
        return len(self.table)

    def batch(self, indices: Sequence[int]) -> Batch:
        """The examples at ``indices``, padded to the longest of them."""
        rows = self.table.take(indices)
        return make_batch(rows, task=self.task, pad_token_id=self.pad_token_id)
