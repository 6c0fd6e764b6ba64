"""The supervised loss of an evaluation, computed from the same forward pass as its predictions."""

from __future__ import annotations

import math
from collections.abc import Iterable

from torch import Tensor

from data_utils.collator import Batch
from mt_dnn.model import MTDNN
from mt_dnn.task_types import Prediction, TaskType

Share = tuple[float, float]
"""Sum of a loss, and the number of labelled units that it is summed over."""
NOTHING: Share = (0.0, 0.0)


class MeasuredLoss:
    """Forward pass and decoding of one task for :func:`mt_dnn.inference.loop.map_batches`, with the loss.

    The loss is :meth:`TaskType.loss` in eval mode: without dropout, SMART, distillation and the task's
    weight. A type whose :meth:`TaskType.infer` returns other logits than those of training, such as
    generated text, needs a second forward pass.

    Args:
        model: the model.
        kind: the type of the task.
    """

    def __init__(self, model: MTDNN, kind: TaskType) -> None:
        self.model, self.kind = model, kind
        self._infers = type(kind).infer is not TaskType.infer
        self._trained: Tensor | None = None

    def forward(self, batch: Batch) -> Tensor:
        """Return the logits to decode."""
        logits = self.model.infer(batch)
        if self._infers and batch.labels is not None:
            self._trained = self.model(batch).float().cpu()
        return logits

    def read(self, logits: Tensor, batch: Batch) -> list[tuple[Prediction, Share]]:
        """Return a prediction for each example; the first one has the loss of the whole batch."""
        predictions = self.kind.decode(logits, batch)
        share = NOTHING
        if batch.labels is not None and (units := float(self.kind.loss_units(batch))):
            trained = logits if self._trained is None else self._trained
            share = (float(self.kind.loss(trained, batch)) * units, units)
        shares = [share, *[NOTHING] * (len(predictions) - 1)]
        return list(zip(predictions, shares, strict=True))


def mean_loss(shares: Iterable[Share]) -> float | None:
    """Mean over all labelled units; None without any, or if it is not finite."""
    totals, units = zip(*shares, strict=True)
    count = math.fsum(units)
    mean = sum(totals) / count if count else math.nan
    return mean if math.isfinite(mean) else None
