"""Collate examples of one task into a padded Batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data_utils.formats import IGNORE as IGNORE
from data_utils.store import StoreSubset, TaskStore


@dataclass
class Batch:
    """A padded batch of examples, all of the same task.

    B is the number of examples and N the number of sequences. An example with candidates has one
    sequence for each candidate, and one of a task with ``windows`` has one for each window; otherwise
    N = B.
    """

    task: str
    uids: list[str]  # B
    input_ids: Tensor  # (N, T) int64
    attention_mask: Tensor  # (N, T) int64, 1 on real tokens
    token_type_ids: Tensor | None = None  # (N, T), None where the encoder has no token types
    labels: Tensor | None = None  # (B,), or (B, L) padded with IGNORE; None if unlabelled
    candidate_mask: Tensor | None = None
    """(B, K) bool, true for the candidates or windows of each example. The true cells in row-major order
    are the N sequences. None if every example is one sequence."""
    soft_labels: Tensor | None = None
    """Logits of a teacher, float32, padded with 0: (B, C), (B, K), or (B, L, C) per token. None if the
    task is not distilled."""
    is_padded: bool = True
    """False if ``attention_mask`` is 1 everywhere. Stored on the host, because reading it from the mask
    would wait for the device."""
    is_filler: bool = False
    """Whether another process has these examples too. A process without examples of its own in an update
    gets such a batch; it counts in no loss."""
    extras: dict[str, list[Any]] = field(default_factory=dict)
    """All other columns of the store, one entry per example. They stay on the host."""

    def __len__(self) -> int:
        return len(self.uids)

    def to(self, device: torch.device | str) -> Batch:
        """Return a copy with every tensor on ``device``; asynchronous if the memory is pinned."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        """Return a copy with every tensor in page-locked memory."""
        return self._map(Tensor.pin_memory)

    def _map(self, function: Any) -> Batch:
        changed = {
            f.name: function(getattr(self, f.name))
            for f in dataclasses.fields(self)
            if isinstance(getattr(self, f.name), Tensor)
        }
        return dataclasses.replace(self, **changed)


def collate(
    store: TaskStore | StoreSubset, indices: Sequence[int], *, pad_multiple: int = 1
) -> Batch:
    """Make a batch of the examples of ``store`` at ``indices``; see :func:`make_batch`."""
    manifest = store.manifest
    return make_batch(
        store.take(indices),
        task=manifest.task,
        pad_token_id=manifest.pad_token_id,
        pad_multiple=pad_multiple,
    )


def make_batch(
    rows: dict[str, list], *, task: str, pad_token_id: int, pad_multiple: int = 1
) -> Batch:
    """Pad the examples of ``TokenTable.take`` to the longest and make them a batch.

    The candidates or windows of all examples are concatenated, so that padding costs no computation.

    Args:
        rows: the columns, one entry per example. This function removes and changes entries.
        task: name of the task.
        pad_token_id: id that fills ``input_ids``.
        pad_multiple: the padded length T is a multiple of this.
    """
    masks = None
    if isinstance(rows["input_ids"][0], list):  # candidates or windows
        counts = np.array([len(candidates) for candidates in rows["input_ids"]])
        masks = torch.from_numpy(np.arange(counts.max()) < counts[:, None])
        for name in ("input_ids", "token_type_ids"):
            if name in rows:
                rows[name] = [row for candidates in rows[name] for row in candidates]
    ids = rows.pop("input_ids")
    attention_mask = pad([np.ones(len(row), np.int64) for row in ids], 0, pad_multiple)
    types = rows.pop("token_type_ids", None)
    labels = rows.pop("labels", None)
    soft_labels = rows.pop("soft_labels", None)
    return Batch(
        task=task,
        uids=rows.pop("uid"),
        input_ids=pad(ids, pad_token_id, pad_multiple).long(),
        attention_mask=attention_mask,
        is_padded=any(len(row) < attention_mask.shape[1] for row in ids),
        token_type_ids=None if types is None else pad(types, 0, pad_multiple).long(),
        labels=None if labels is None else _stack(labels),
        candidate_mask=masks,
        soft_labels=None if soft_labels is None else _stack_soft(soft_labels),
        extras=rows,
    )


def _stack(labels: list[Any]) -> Tensor:
    """Stack scalars to (B,) or arrays to (B, L) padded with IGNORE; float32 or int64."""
    if isinstance(labels[0], np.ndarray):
        stacked = pad(labels, IGNORE)
    else:
        stacked = torch.from_numpy(np.asarray(labels))
    return stacked.float() if stacked.is_floating_point() else stacked.long()


def _stack_soft(rows: list[Any]) -> Tensor:
    """Stack arrays (n,) to (B, n), or lists of (C,) per token to (B, L, C), padded with 0."""
    if isinstance(rows[0], list):
        rows = [np.stack(row) for row in rows]
    return pad(rows, 0)


def pad(rows: list[np.ndarray], value: int | float, multiple: int = 1) -> Tensor:
    """Pad arrays (length, ...) to one array (len(rows), T, ...).

    T is the greatest length, rounded up to a multiple of ``multiple``.
    """
    width = max(len(row) for row in rows)
    width = -(-width // multiple) * multiple
    out = np.full((len(rows), width, *rows[0].shape[1:]), value, dtype=rows[0].dtype)
    for target, row in zip(out, rows, strict=True):
        target[: len(row)] = row
    return torch.from_numpy(out)
