"""Cross-entropy with class weights and label smoothing, for types with one class per unit."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from data_utils.collator import IGNORE
from data_utils.errors import UserError
from data_utils.registry import choices_hint
from data_utils.task_def import TaskDef

OPTIONS: dict[str, Any] = {"label_smoothing": 0.0, "class_weights": {}}
"""Options of the task types that use :class:`ClassLoss`, with their defaults."""


class ClassLoss:
    r"""Cross-entropy of one task, with its options ``label_smoothing`` and ``class_weights``.

    With w the weights of the classes, y_n the gold class of unit n (an example or a word), e the
    smoothing, and C the number of classes, the loss is that of ``torch.nn.functional.cross_entropy``
    with ``weight=w, label_smoothing=e`` and its weighted mean::

        L = sum_n [ (1 - e) w_{y_n} (-log p_{n, y_n}) + e / C sum_c w_c (-log p_{n, c}) ] / sum_n w_{y_n}

    Label smoothing: Szegedy et al. 2016 (arXiv 1512.00567, section 7), with the uniform distribution
    over labels. Both options change the supervised loss only. R_s, D_Breg and distillation compare
    distributions and stay unweighted.

    Example::

        loss = ClassLoss(tasks["rte"])
        loss(torch.randn(8, 2), torch.zeros(8, dtype=torch.long))  # a scalar
    """

    def __init__(self, task: TaskDef) -> None:
        self.smoothing = float(task.options.get("label_smoothing", 0.0))
        weights = task.options.get("class_weights", {})
        values = {task.encode_label(label): float(weight) for label, weight in weights.items()}
        self._weights = [values.get(index, 1.0) for index in range(task.n_class)]
        self._by_device: dict[torch.device, Tensor] = {}

    @property
    def is_plain(self) -> bool:
        """Whether no option is set, so that the loss is the ordinary cross-entropy."""
        return not self.smoothing and set(self._weights) <= {1.0}

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            logits: (N, C).
            labels: class ids (N,); units with the label IGNORE do not count.

        Returns:
            A float32 scalar; 0 without labelled units.
        """
        weights = self._on(logits.device)
        # torch's own mean waits for the device (masked_select), and is NaN without labelled units.
        total = F.cross_entropy(
            logits.float(),
            labels,
            weight=weights,
            label_smoothing=self.smoothing,
            ignore_index=IGNORE,
            reduction="sum",
        )
        return total / self.units(labels).clamp(min=torch.finfo(weights.dtype).tiny)

    def units(self, labels: Tensor) -> Tensor:
        """Compute the denominator of the mean: the sum of w_{y_n} over the labelled units."""
        weights = self._on(labels.device)
        return weights[labels.clamp(min=0)].masked_fill(labels == IGNORE, 0.0).sum()

    def _on(self, device: torch.device) -> Tensor:
        """Return the weights (C,). They are copied to each device once, because a copy waits."""
        if device not in self._by_device:
            with torch.inference_mode(False):  # the backward pass refuses inference tensors
                self._by_device[device] = torch.tensor(self._weights, device=device)
        return self._by_device[device]


def check_class_loss(task: TaskDef) -> TaskDef:
    """Check the options of a task whose type uses :class:`ClassLoss`, and return the task.

    Raises:
        UserError: label_smoothing is out of range, or class_weights has an unknown label or a weight
            that is not a positive number.
    """
    where = f"{task.where}: options"
    smoothing = task.options["label_smoothing"]
    if not 0 <= smoothing < 1:  # this form also rejects NaN
        raise UserError(f"{where}: label_smoothing: {smoothing} is outside [0, 1)")
    choices = task.labels or tuple(map(str, range(task.n_class)))
    for label, weight in task.options["class_weights"].items():
        if isinstance(label, bool) or label is None:
            raise UserError(
                f"{where}: class_weights: YAML reads a bare yes, no, on, off, true, false or null as "
                f"{label!r}; quote the label"
            )
        if str(label) not in choices:
            kind = "label" if task.labels else "class id"
            raise UserError(
                f"{where}: class_weights: no {kind} {label!r}.{choices_hint(str(label), choices)}"
            )
        is_number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
        if not is_number or not 0 < weight < math.inf:
            raise UserError(
                f"{where}: class_weights: {label}: {weight!r} is not a positive number; "
                f"labels that are left out have weight 1"
            )
    return task
