"""In what order: the batches of an epoch, each of one task and of like length."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_utils.errors import UserError
from data_utils.mixing import MixingSettings, Supply, check_settings, mix

MIN_POOLS = 3
"""However large the pool, a task is sorted in at least three random parts: sorting all of it at once
would put the same neighbours into one batch in every epoch."""

# Streams of random numbers within one (seed, epoch); task i has stream FIRST_TASK + i.
MIXING, ORDER, FIRST_TASK = 0, 1, 2


@dataclass(frozen=True)
class TaskBatch:
    """Which examples of which task make a batch."""

    task: str
    indices: list[int]
    """Positions in the task's training set."""


class MultiTaskSampler:
    """Batches of every epoch, a pure function of (seed, epoch).

    Args:
        lengths: task -> token length of each of its training examples, (N,); the first task is
            the main one of ``ratio`` mixing and ``main_last``.
        batch_size: examples in a batch, over all processes together.
        mixing: how much of each task.
        epochs: of the run; ``annealed`` mixing depends on it.
        seed: of every draw made here, not negative.
        group_by_length: sort random pools of examples by length before they are cut into batches.
        pool: batches sorted together, at most a third of the task's.
        world_size: number of processes. In each step all of them have the same task and equally
            many examples of one global batch, which is filled up from its own start to divide.
        rank: this process.

    Raises:
        UserError: no task, a task without examples, or a setting outside its range.
    """

    def __init__(
        self,
        lengths: dict[str, np.ndarray],
        batch_size: int,
        *,
        mixing: MixingSettings,
        epochs: int,
        seed: int,
        group_by_length: bool = True,
        pool: int = 50,
        world_size: int = 1,
        rank: int = 0,
    ) -> None:
        check_settings(mixing)
        for field, value in (("batch.size", batch_size), ("batch.pool", pool)):
            if value < 1:
                raise UserError(f"{field}: {value}; choices: 1 or more.")
        if seed < 0:
            raise UserError(f"seed: {seed} is negative; choices: 0 or more.")
        if not lengths:
            raise UserError("data.use: no task to train.")
        for task, task_lengths in lengths.items():
            if len(task_lengths) == 0:
                raise UserError(f"task {task!r} has no training examples.")
        assert 0 <= rank < world_size
        self.lengths = lengths
        self.batch_size = batch_size
        self.mixing = mixing
        self.epochs = epochs
        self.seed = seed
        self.group_by_length = group_by_length
        self.pool = pool
        self.world_size = world_size
        self.rank = rank

    def counts(self, epoch: int) -> dict[str, int]:
        """Task -> number of its batches in this epoch; forms none of them."""
        examples = {task: len(task_lengths) for task, task_lengths in self.lengths.items()}
        return mix(
            Supply(
                batches={task: -(-n // self.batch_size) for task, n in examples.items()},
                examples=examples,
                epoch=epoch,
                epochs=self.epochs,
                settings=self.mixing,
                rng=self._rng(epoch, MIXING),
            )
        )

    def num_batches(self, epoch: int) -> int:
        """``len(batches(epoch))`` without forming them; the same on every rank."""
        return sum(self.counts(epoch).values())

    def total_batches(self) -> int:
        """Batches of the whole run."""
        return sum(self.num_batches(epoch) for epoch in range(self.epochs))

    def batches(self, epoch: int) -> list[TaskBatch]:
        """This rank's batches of the epoch (from 0), in training order."""
        counts = self.counts(epoch)
        main, *others = self.lengths
        stages = [others, [main]] if self.mixing.main_last else [[main, *others]]
        rng = self._rng(epoch, ORDER)
        ordered = []
        for tasks in stages:
            formed = [
                TaskBatch(task, self._own_share(indices).tolist())
                for task in tasks
                for indices in self._form(task, counts[task], epoch)
            ]
            ordered += [formed[i] for i in rng.permutation(len(formed))]
        return ordered

    def _form(self, task: str, count: int, epoch: int) -> list[np.ndarray]:
        """``count`` batches of one task: whole passes, then a random part of a further one."""
        rng = self._rng(epoch, FIRST_TASK + list(self.lengths).index(task))
        formed: list[np.ndarray] = []
        while len(formed) < count:
            formed += self._one_pass(self.lengths[task], rng)[: count - len(formed)]
        return formed

    def _one_pass(self, lengths: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
        """Every example once, in batches in random order."""
        n = len(lengths)
        order = rng.permutation(n)  # (N,) of example indices
        sizes = np.full(-(-n // self.batch_size), self.batch_size)
        sizes[-1] -= sizes.sum() - n
        # The one short batch falls anywhere: last, it would always hold the longest examples. It
        # also shifts the cuts behind it, so that neighbours part from epoch to epoch.
        rng.shuffle(sizes)
        stops = sizes.cumsum()
        if self.group_by_length:
            pools = min(len(sizes), max(MIN_POOLS, -(-len(sizes) // self.pool)))
            for members in np.array_split(np.arange(len(sizes)), pools):
                chunk = order[stops[members[0]] - sizes[members[0]] : stops[members[-1]]]
                # Stable, so that examples of equal length keep the order of the shuffle.
                chunk[:] = chunk[np.argsort(lengths[chunk], kind="stable")]
        cut = np.split(order, stops[:-1])
        return [cut[i] for i in rng.permutation(len(cut))]

    def _own_share(self, indices: np.ndarray) -> np.ndarray:
        """This rank's part of a global batch: every ``world_size``-th, so that all are equally long."""
        each = -(-len(indices) // self.world_size)
        filled = np.resize(indices, each * self.world_size)  # repeats from the start
        return filled[self.rank :: self.world_size]

    def _rng(self, epoch: int, stream: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, epoch, stream])
