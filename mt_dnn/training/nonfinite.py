"""A loss or gradient that is not finite: found without waiting for the device at every step."""

from __future__ import annotations

import json
from collections import deque
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from torch import Tensor

from data_utils.collator import Batch
from data_utils.errors import UserError


class NonFiniteDetector:
    """Remembers on the device the first batch whose loss, or gradient norm, was not finite.

    :meth:`check` reads it: at every log point, and before anything is saved or scored. One
    process's bad loss spoils all processes' weights, so they check together and stop together.

    Args:
        history: batches between two checks at the most.
    """

    def __init__(self, device: torch.device, run_dir: Path, *, history: int) -> None:
        self.run_dir = run_dir
        self.noted = 0
        self.recent: deque[tuple[int, dict[str, Any]]] = deque(maxlen=history)
        self.first_bad = torch.tensor(-1, device=device)
        """Number of the batch, counted from 0; -1: none."""

    def note(self, step: int, batch: Batch, value: Tensor) -> None:
        """``value``: the batch's loss, or the norm of a gradient that it is part of."""
        record = {"update": step + 1, "task": batch.task, "uids": batch.uids}
        self.recent.append((self.noted, record))
        bad = ~torch.isfinite(value.detach()) & (self.first_bad < 0)
        self.first_bad = torch.where(bad, self.noted, self.first_bad)
        self.noted += 1

    def check(self) -> None:
        """Raises:
        UserError: something was not finite; the uids of its batch are in the run directory.
        """
        bad = [number for number in gather_object([int(self.first_bad)]) if number >= 0]
        if not bad:
            return
        # Each process has its part of the batch.
        parts = gather_object([record for number, record in self.recent if number == min(bad)])
        record = parts[0] | {"uids": [uid for part in parts for uid in part["uids"]]}
        path = self.run_dir / "nonfinite_batch.json"
        if PartialState().is_main_process:
            path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        raise UserError(
            f"the loss or gradient of update {record['update']} is not finite; its batch (task "
            f"{record['task']}) is written to {path}. The last checkpoint and the best model are "
            f"from before it. Try a lower optim.lr, or system.precision fp32"
        )
