"""A loss that is not finite: found without waiting for the device at every step."""

from __future__ import annotations

import json
from collections import deque
from pathlib import Path

import torch
from torch import Tensor

from data_utils.collator import Batch
from data_utils.registry import UserError


class FiniteGuard:
    """Remembers on the device the first update whose loss was not finite.

    :meth:`check` reads it: at every log point, and before anything is saved or scored.

    Args:
        history: updates between two checks at the most, times the batches of one.
    """

    def __init__(self, device: torch.device, run_dir: Path, *, history: int) -> None:
        self.run_dir = run_dir
        self.recent: deque[tuple[int, str, list[str]]] = deque(maxlen=history)
        self.first_bad = torch.tensor(-1, device=device)

    def note(self, step: int, batch: Batch, loss: Tensor) -> None:
        self.recent.append((step, batch.task, batch.uids))
        bad = ~torch.isfinite(loss.detach()) & (self.first_bad < 0)
        self.first_bad = torch.where(bad, step, self.first_bad)

    def check(self) -> None:
        """Raises:
        UserError: a loss was not finite; the uids of its batch are in the run directory.
        """
        bad = int(self.first_bad)
        if bad < 0:
            return
        batches = [
            {"update": step + 1, "task": task, "uids": uids}
            for step, task, uids in self.recent
            if step == bad
        ]
        path = self.run_dir / "nonfinite_batch.json"
        path.write_text(json.dumps(batches, indent=2) + "\n", encoding="utf-8")
        tasks = ", ".join(sorted({str(batch["task"]) for batch in batches}))
        raise UserError(
            f"the loss of update {bad + 1} is not finite; its batch (task {tasks}) is written to "
            f"{path}. The last checkpoint and the best model are from before it. "
            f"Try a lower optim.lr, or system.precision fp32"
        )
