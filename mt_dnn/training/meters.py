"""Means and counts over a log interval; losses stay on the device until they are read."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import gather_object, reduce
from torch import Tensor

from data_utils.collator import Batch


class Meters:
    """Weighted means of scalars by name, and counts of batches, examples and tokens.

    :meth:`add` never waits for the device. :meth:`read` moves all sums to the host at once. Means and
    counts are over all processes; they all call :meth:`read`, :meth:`counted` and :meth:`state_dict` at
    the same points.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._clear()

    def _clear(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.weights: dict[str, float | Tensor] = {}
        self.batches: Counter[str] = Counter()
        self.examples = self.tokens = self.cells = 0

    def add(self, name: str, value: Tensor, weight: float | Tensor = 1.0) -> None:
        """Add a value of a scalar that is on the device.

        Args:
            name: the tag of the scalar.
            value: the value.
            weight: its weight in the mean, such as the batch's share of the update.
        """
        value = value.detach().float() * weight
        self.sums[name] = self.sums[name] + value if name in self.sums else value
        self.weights[name] = self.weights.get(name, 0.0) + weight

    def count(self, batch: Batch) -> None:
        """Count a batch that is still on the host; its examples only if they are not filler."""
        self.batches[batch.task] += 1
        if not batch.is_filler:
            self.examples += len(batch)
            self.tokens += int(batch.attention_mask.sum())
            self.cells += batch.input_ids.numel()

    def counted(self) -> tuple[int, int, int]:
        """Numbers of examples, tokens and cells (tokens with padding) of all processes."""
        own = torch.tensor([self.examples, self.tokens, self.cells], device=self.device)
        examples, tokens, cells = reduce(own, reduction="sum").tolist()
        return examples, tokens, cells

    def read(self) -> dict[str, float]:
        """Return the mean of every scalar, the padding and each task's share; start a new interval."""
        means = {name: total / weight for name, (total, weight) in self._totals().items() if weight}
        _, tokens, cells = self.counted()
        if cells:
            means["train/padding"] = 1 - tokens / cells
        for task, number in sorted(self.batches.items()):
            means[f"train/share/{task}"] = number / self.batches.total()
        self._clear()
        return dict(sorted(means.items()))

    def _totals(self) -> dict[str, tuple[float, float]]:
        """Sum and weight of every scalar by name, averaged over the processes.

        A process may lack a scalar that another one has, so they agree on the names first.
        """
        names = sorted(set().union(*gather_object([list(self.sums)])))
        if not names:
            return {}
        columns = [
            torch.stack([torch.as_tensor(own.get(name, 0.0), device=self.device) for name in names])
            for own in (self.sums, self.weights)
        ]
        totals = reduce(torch.stack(columns, dim=1), reduction="mean").tolist()  # (names, 2)
        return {name: (total, weight) for name, (total, weight) in zip(names, totals, strict=True)}

    def state_dict(self) -> dict[str, Any]:
        """State of all processes, for JSON. A float32 sum as a Python float and back is unchanged."""
        totals = self._totals()
        return {
            "sums": {name: total for name, (total, _) in totals.items()},
            "counts": {name: weight for name, (_, weight) in totals.items()},
            "batches": dict(self.batches),
            "totals": list(self.counted()),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state, also with another number of processes."""
        self.batches = Counter(state["batches"])
        self.sums = {
            name: torch.tensor(value, dtype=torch.float32, device=self.device)
            for name, value in state["sums"].items()
        }
        self.weights = {name: float(weight) for name, weight in state["counts"].items()}
        if PartialState().is_main_process:  # the counts are those of all processes together
            self.examples, self.tokens, self.cells = state["totals"]
