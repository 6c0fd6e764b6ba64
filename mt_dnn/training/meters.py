"""What happened since the last log point; losses stay on the device until it is read."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from accelerate.utils import reduce
from torch import Tensor

from data_utils.collator import Batch


class Meters:
    """Means of scalars by name, and counts of what was trained on.

    Adding never waits for the device: :meth:`read` moves all sums to the host at once.
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
        """One more value of a scalar on the device."""
        value = value.detach().float()
        self.sums[name] = self.sums[name] + value if name in self.sums else value.clone()
        self.counts[name] += 1

    def count(self, batch: Batch) -> None:
        """One more batch, still on the host."""
        self.batches[batch.task] += 1
        self.examples += len(batch)
        self.tokens += int(batch.attention_mask.sum())
        self.cells += batch.input_ids.numel()

    def read(self) -> dict[str, float]:
        """Mean of every scalar, padding and each task's share of the batches; starts anew."""
        means: dict[str, float] = {}
        if self.sums:
            # Over the processes: each has seen its own part of the same batches.
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
        """As JSON can hold it; a float32 sum survives the way through a Python float unchanged."""
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
