"""The schedule of a run, in optimizer updates."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate

from data_utils.sampler import MultiTaskSampler
from mt_dnn.config.run import RunConfig
from mt_dnn.training.optim import schedule


class Timeline:
    """Epochs, number of updates and learning rates of a run, computed before it starts.

    The sampler determines the number of batches of every epoch in advance.
    """

    def __init__(self, config: RunConfig, sampler: MultiTaskSampler) -> None:
        self.config = config
        per_epoch = [
            -(-sampler.num_batches(epoch) // config.batch.accumulate)
            for epoch in range(config.train.epochs)
        ]
        self.epoch_ends = list(accumulate(per_epoch))
        """Number of finished updates at the end of each epoch."""
        self.total = min(self.epoch_ends[-1], config.train.max_steps or self.epoch_ends[-1])
        """Number of updates of the whole run."""

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
        return schedule(step, self.total, self.config.optim)
