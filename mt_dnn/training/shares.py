"""The shares of an update's batches in its loss, over micro-batches and processes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from accelerate import Accelerator
from accelerate.utils import reduce
from torch import Tensor

from data_utils.collator import Batch
from mt_dnn.heads.masking import to_device
from mt_dnn.randomness import step_seed
from mt_dnn.task_types import TaskType


def batch_shares(
    batches: Sequence[Batch],
    kinds: dict[str, TaskType],
    seeds: Sequence[int],
    accelerator: Accelerator,
) -> Sequence[float | Tensor]:
    """Compute the factor of each batch's loss, so that its parts together equal one batch.

    The loss of a batch is a mean over its labelled units, such as examples or labelled words
    (:meth:`~mt_dnn.task_types.TaskType.loss_units`). The loss of an update is the mean over its batches
    of (1/n) sum_i share_i F_i, averaged over the W processes, with::

        share_i = W n_t u_i / U_t

    u_i is the number of units of batch i in this process, U_t the number in all n_t batches of its task
    and in all processes. All labelled units of a task therefore weigh the same, and a task weighs by its
    number of batches. Without any labelled unit the share is 1.

    Args:
        batches: the batches of this process in one update, on the host.
        kinds: the task types by task.
        seeds: the seed of each batch's step, which determines its masked tokens.
        accelerator: its processes add up their units, without waiting for the device.

    Returns:
        One factor per batch: exactly 1 where a task has one batch or batches of equal size.
    """
    tasks = [batch.task for batch in batches]
    world = accelerator.num_processes
    if world == 1 and len(set(tasks)) == len(tasks):
        return [1.0] * len(tasks)
    units = torch.tensor(
        [_units(batch, kinds[batch.task], seed) for batch, seed in zip(batches, seeds, strict=True)]
    )
    same = torch.tensor([[float(other == task) for other in tasks] for task in tasks])  # (n, n)
    if world == 1:
        return _shares(units, units, same).tolist()
    units, same = to_device(units, accelerator.device), to_device(same, accelerator.device)
    return list(world * _shares(units, reduce(units.clone(), reduction="sum"), same))


def _units(batch: Batch, kind: TaskType, seed: int) -> float:
    """Number of units of a batch on the host; 0 if another process has the examples too."""
    if batch.is_filler:
        return 0.0
    # Masking is a function of the batch and the seed: the step will mask the same tokens.
    return float(kind.loss_units(kind.prepare(batch, step_seed(seed, 2))))


def _shares(units: Tensor, totals: Tensor, same: Tensor) -> Tensor:
    """n_t u_i / U_t; (n,) units of this process, (n,) of all processes, (n, n) same task."""
    whole = (same * totals).sum(1)  # U_t, (n,)
    return torch.where(whole > 0, same.sum(1) * units / whole, 1.0)
