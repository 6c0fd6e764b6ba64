"""Detect a non-finite loss or gradient without waiting for the device at every step."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from torch import Tensor

from data_utils import strict_json
from data_utils.collator import Batch
from data_utils.errors import UserError
from data_utils.files import write_text


class NonFiniteDetector:
    """Records on the device the first batch with a non-finite loss or gradient norm.

    :meth:`check` reads the record. Call it at every log point and before saving or evaluating. A
    non-finite loss in one process makes the weights of all processes non-finite, so all of them check
    and stop together.

    Args:
        run_dir: where the uids of the batch are written.
        history: maximal number of batches between two checks.
    """

    def __init__(self, device: torch.device, run_dir: Path, *, history: int) -> None:
        self.run_dir = run_dir
        self.noted = 0
        self.recent: deque[tuple[int, dict[str, Any]]] = deque(maxlen=history)
        self.first_bad = torch.tensor(-1, device=device)
        """Index of the batch, counted from 0; -1 if none was non-finite."""

    def note(self, step: int, batch: Batch, value: Tensor) -> None:
        """Record a batch.

        Args:
            step: index of the update, counted from 0.
            value: the batch's loss, or the norm of the gradient that the batch contributes to.
        """
        record = {"update": step + 1, "task": batch.task, "uids": batch.uids}
        self.recent.append((self.noted, record))
        bad = ~torch.isfinite(value.detach()) & (self.first_bad < 0)
        self.first_bad = torch.where(bad, self.noted, self.first_bad)
        self.noted += 1

    def check(self) -> None:
        """Raise if a recorded value was non-finite.

        Raises:
            UserError: a value was non-finite; the uids of its batch are written to the run directory.
        """
        bad = [number for number in gather_object([int(self.first_bad)]) if number >= 0]
        if not bad:
            return
        # Each process has a part of the batch.
        parts = gather_object([record for number, record in self.recent if number == min(bad)])
        record = parts[0] | {"uids": [uid for part in parts for uid in part["uids"]]}
        path = self.run_dir / "nonfinite_batch.json"
        if PartialState().is_main_process:
            write_text(path, strict_json.dumps(record, indent=2) + "\n")
        raise UserError(
            f"the loss or gradient of update {record['update']} is not finite; {path} lists its batch "
            f"(task {record['task']}). The last checkpoint and the best model were saved before this "
            f"update. Try a lower optim.lr, or system.precision fp32"
        )
