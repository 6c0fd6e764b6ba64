"""What a step minimizes: F = L + lambda_s R_s + mu D_Breg, term by term (arXiv 1911.03437, eq. 1, 3)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from data_utils.collator import Batch
from mt_dnn.config import RunConfig
from mt_dnn.model import MTDNN


class LossTerms(NamedTuple):
    """Scalars with gradient; a term that is off is None, and its work is not done."""

    total: Tensor
    """Task weight times the weighted sum of the others."""
    supervised: Tensor

    def named(self) -> dict[str, Tensor]:
        """What is logged as ``train/<task>/<name>``: ``loss`` is the supervised one."""
        return {"loss": self.supervised}


class Objective(nn.Module):
    """A batch -> its loss terms.

    A module, so that a distributed wrapper sees one forward per step however many passes the
    terms need.
    """

    def __init__(self, model: MTDNN, config: RunConfig) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch, *, seed: int) -> LossTerms:
        """Args:
        batch: on the model's device.
        seed: of dropout and noise; all randomness of the step is a function of it.
        """
        kind = self.model.task_types[batch.task]
        torch.manual_seed(seed)
        logits = self.model(batch)
        supervised = kind.loss(logits, batch)
        return LossTerms(kind.task.weight * supervised, supervised)

    def teacher_state(self) -> dict[str, Tensor] | None:
        """What to save besides the model; None without a proximal term."""
        return None

    def load_teacher_state(self, state: dict[str, Tensor] | None) -> None:
        """Go on from a saved teacher."""
