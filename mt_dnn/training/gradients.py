"""Combine the gradients of several tasks before the optimizer's step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from data_utils.errors import UserError
from mt_dnn.config.run import OptimConfig
from mt_dnn.registries import COMBINATIONS


@dataclass(frozen=True)
class Gradients:
    """The gradients of one update on the shared encoder, one row per task."""

    values: Tensor
    """(K, P) for K tasks and P shared parameters. Their sum is the gradient of plain training: each row
    includes the weight of its task and the division by the number of batches."""
    tasks: tuple[str, ...]
    """The tasks of the rows, in the order of their first batch in the update."""
    seed: int
    """Seed for random choices, such as the order of the tasks; differs from update to update."""


Combination = Callable[..., Tensor]
"""``combination(gradients, **options)``: Gradients -> the gradient to use, (P,)."""


def sum_gradients(gradients: Gradients) -> Tensor:
    """Sum the gradients of all tasks, as plain gradient accumulation does."""
    return gradients.values.sum(0)


def combine_gradients(encoder: nn.Module, config: OptimConfig) -> TaskGradients | None:
    """Return what combines the tasks' gradients; None for a plain sum, which needs nothing."""
    if config.combine == "sum":
        return None
    combine = COMBINATIONS.get(config.combine, "optim.combine")
    shared = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
    return TaskGradients(shared, partial(combine, **config.combine_options))


class TaskGradients:
    """Collects each task's gradient of an update, and replaces their sum by a combination.

    Only the encoder's parameters are combined, because no other parameters are shared by all tasks;
    the gradients of heads and loss terms are summed. It needs memory for one gradient of the encoder
    per task.

    Args:
        shared: the trainable parameters of the encoder.
        combine: an entry of COMBINATIONS, with its options bound.

    Example::

        collected = TaskGradients(encoder_parameters, pcgrad)
        for batch in batches:
            loss(batch).backward()
            collected.take(batch.task)
        collected.put(seed)
        optimizer.step()
    """

    def __init__(self, shared: Sequence[nn.Parameter], combine: Combination) -> None:
        self.shared = list(shared)
        self.combine = combine
        self._rows: dict[str, Tensor] = {}

    def take(self, task: str) -> None:
        """Move the gradients of the shared parameters out of ``.grad``, to those of the task."""
        parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.shared]
        row = torch.cat([part.flatten() for part in parts])  # (P,)
        self._rows[task] = self._rows[task] + row if task in self._rows else row
        for parameter in self.shared:
            parameter.grad = None

    def put(self, seed: int, *, measure: bool = False) -> dict[str, Tensor]:
        """Write the combined gradient to ``.grad`` of the shared parameters.

        Args:
            seed: see :class:`Gradients`.
            measure: also compute norms, which reads all gradients once more.

        Returns:
            The norm of each task's gradient on the shared parameters; empty without ``measure``.
        """
        tasks, rows = zip(*self._rows.items(), strict=True)
        combined = self.combine(Gradients(torch.stack(rows), tasks, seed))  # (P,)
        if combined.shape != rows[0].shape:
            raise UserError(
                f"optim.combine: the combination returned a tensor of shape {tuple(combined.shape)}; "
                f"return one gradient of shape {tuple(rows[0].shape)}"
            )
        sizes = [parameter.numel() for parameter in self.shared]
        for parameter, part in zip(self.shared, combined.split(sizes), strict=True):
            parameter.grad = part.view_as(parameter)
        norms = {task: row.norm() for task, row in self._rows.items()} if measure else {}
        self._rows.clear()
        return norms
