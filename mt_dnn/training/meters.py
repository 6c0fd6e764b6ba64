"""Means and counts over a log interval; losses stay on the device until they are read."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from accelerate.utils import reduce
from torch import Tensor

from data_utils.collator import Batch


class Meters:
    """Means of scalars by name, and counts of batches, examples and tokens.

    :meth:`add` never waits for the device. :meth:`read` moves all sums to the host at once.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._clear()

    def _clear(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.counts: Counter[str] = Counter()
        self.batches: Counter[str] = Counter()
        self.examples = self.tokens = self.cells = 0

    def add(self, name: str, value: Tensor) -> None:
        """Add a value of a scalar that is on the device."""
        value = value.detach().float()
        self.sums[name] = self.sums[name] + value if name in self.sums else value.clone()
        self.counts[name] += 1

    def count(self, batch: Batch) -> None:
        """Count a batch that is still on the host."""
        self.batches[batch.task] += 1
        self.examples += len(batch)
        self.tokens += int(batch.attention_mask.sum())
        self.cells += batch.input_ids.numel()

    def read(self) -> dict[str, float]:
        """Return the mean of every scalar, the padding and each task's share; start a new interval."""
        means: dict[str, float] = {}
        if self.sums:
            # Average over the processes; each has seen its own part of the same batches.
            sums = reduce(torch.stack(list(self.sums.values())), reduction="mean").tolist()
            means = {
                name: total / self.counts[name] for name, total in zip(self.sums, sums, strict=True)
            }
        if self.cells:
            means["train/padding"] = 1 - self.tokens / self.cells
        for task, number in sorted(self.batches.items()):
            means[f"train/share/{task}"] = number / self.batches.total()
        self._clear()
        return dict(sorted(means.items()))

    def state_dict(self) -> dict[str, Any]:
        """State for JSON. A float32 sum converted to a Python float and back is unchanged."""
        return {
            "sums": {name: value.item() for name, value in self.sums.items()},
            "counts": dict(self.counts),
            "batches": dict(self.batches),
            "totals": [self.examples, self.tokens, self.cells],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.sums = {
            name: torch.tensor(value, dtype=torch.float32, device=self.device)
            for name, value in state["sums"].items()
        }
        self.counts = Counter(state["counts"])
        self.batches = Counter(state["batches"])
        self.examples, self.tokens, self.cells = state["totals"]
