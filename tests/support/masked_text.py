"""Rows of running text as the masked language model has them."""

from __future__ import annotations

import torch

from data_utils.collator import IGNORE, Batch
from data_utils.formats import Row
from data_utils.registries import FORMATS
from data_utils.token_table import TokenTable, tokenize
from mt_dnn.heads.mask_lm import MASKED_AT
from tests.support.tasks import make_task

FORMAT = FORMATS.get("MLM")


def encode(tokenizer, *texts: str, max_seq_len: int = 32) -> dict[str, list]:
    rows = [Row({"uid": str(i), "text": text}, f"rows:{i}") for i, text in enumerate(texts)]
    task = make_task("MaskLM")
    examples = [FORMAT.parse(row, task) for row in rows]
    table, truncated = tokenize(examples, task, tokenizer, max_seq_len=max_seq_len)
    assert not any(truncated)
    return TokenTable(table).take(range(len(table)))


def at_positions(batch: Batch, values: torch.Tensor) -> torch.Tensor:
    """(B, M) at the hidden positions -> (B, T), IGNORE elsewhere."""
    out = torch.full_like(batch.input_ids, IGNORE)
    for row, at in enumerate(batch.extras[MASKED_AT]):
        out[row, at] = values[row, : len(at)]
    return out
