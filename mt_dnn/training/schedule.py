"""The schedule of a run, in optimizer updates."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from itertools import accumulate

from data_utils.errors import UserError
from data_utils.sampler import MultiTaskSampler
from mt_dnn.config.run import OptimConfig, RunConfig
from mt_dnn.registries import SCHEDULES


class Timeline:
    """Epochs, number of updates and learning rates of a run, computed before it starts.

    The sampler determines the number of batches of every epoch in advance.
    """

    def __init__(self, config: RunConfig, sampler: MultiTaskSampler) -> None:
        self.config = config
        per_epoch = [
            -(-sampler.num_batches(epoch) // config.batch.accumulate)
            for epoch in range(sampler.epochs)
        ]
        self.epoch_ends = list(accumulate(per_epoch))
        """Number of finished updates at the end of each epoch."""
        self.total = min(self.epoch_ends[-1], config.train.max_steps or self.epoch_ends[-1])
        """Number of updates of the whole run."""
        self.warmup = warmup_updates(self.total, config.optim)
        """Number of updates during which the learning rate rises."""

    def due(self, step: int, every: int | None) -> bool:
        """Whether an action is due after ``step`` updates; always at the end of the run.

        Args:
            every: number of updates between two actions; None or 0: once per epoch.
        """
        at_end = step == self.total
        return at_end or (step % every == 0 if every else step in self.epoch_ends)

    def epoch(self, step: int) -> int:
        """The epoch of update ``step``, both counted from 1."""
        return bisect_left(self.epoch_ends, step) + 1

    def rate(self, step: int) -> float:
        """Factor of the peak learning rate for update ``step``, counted from 0."""
        return learning_rate_factor(step, self.total, self.config.optim)


Schedule = Callable[..., float]
"""``schedule(progress, **options)``: factor of the peak learning rate at a progress in [0, 1] after warmup."""


def learning_rate_factor(step: int, total: int, config: OptimConfig) -> float:
    """Factor of the peak learning rate at update ``step`` of ``total``, counted from 0.

    It rises linearly over the first ``warmup`` * total updates, then follows ``schedule``. It depends
    on the step alone, so a checkpoint need not store it.
    """
    warmup = warmup_updates(total, config)
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(total - warmup, 1)
    return _after_warmup(min(progress, 1.0), config)


def check_schedule(config: OptimConfig) -> None:
    """Try the schedule at a few points, so that a wrong option is found before rows are tokenized.

    Raises:
        UserError: an option is out of range, or the schedule returns something else than a factor.
    """
    for progress in (0.0, 0.25, 0.5, 0.75):
        _after_warmup(progress, config)


def _after_warmup(progress: float, config: OptimConfig) -> float:
    schedule = SCHEDULES.get(config.schedule, "optim.schedule")
    factor = schedule(progress, **config.schedule_options)
    if not isinstance(factor, (int, float)) or not 0 <= factor < math.inf:
        raise UserError(
            f"optim.schedule: {config.schedule} returned {factor!r} at progress {progress:g}; it must "
            f"be a number of at least 0"
        )
    return factor


def warmup_updates(total: int, config: OptimConfig) -> int:
    """Number of updates of warmup in a run of ``total`` updates."""
    return round(config.warmup * total)


def linear(progress: float) -> float:
    """Fall linearly from the peak to 0."""
    return 1.0 - progress


def cosine(progress: float) -> float:
    """Fall from the peak to 0 along half a cosine."""
    return 0.5 * (1 + math.cos(math.pi * progress))


def polynomial(progress: float, *, power: float = 1.0) -> float:
    """Fall from the peak to 0 as (1 - progress)^power."""
    if not 0 <= power < math.inf:
        raise UserError(f"optim.schedule_options: power: {power}; it must be at least 0")
    return (1.0 - progress) ** power


def constant(progress: float) -> float:
    """Stay at the peak."""
    return 1.0
