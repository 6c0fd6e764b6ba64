"""The multi-task sampler: which examples form each batch, and the order of batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import overload

import numpy as np

from data_utils.errors import UserError
from data_utils.mixing import MixingSettings, Supply, check_settings, mix
from data_utils.spread import spread_over_updates
from data_utils.strata import label_strata, length_keys

MIN_POOLS = 3
"""Minimum number of pools per task. Each pool is sorted by length. With a single pool, the same
examples would share a batch in every epoch."""

# Independent random streams for one (seed, epoch). Task i uses stream FIRST_TASK + i.
MIXING, ORDER, FIRST_TASK = 0, 1, 2


@dataclass(frozen=True)
class TaskBatch:
    """The task of a batch and the indices of its examples."""

    task: str
    indices: list[int]
    """Indices into the task's training set."""
    is_filler: bool = False
    """Whether another process has these examples, because there are fewer than processes."""


Cuts = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Batches of one task: indices of examples (N,), and where each batch starts and stops in them, (B,)."""


@dataclass(frozen=True)
class EpochBatches(Sequence[TaskBatch]):
    """The batches of one rank in an epoch. Each is formed when it is read: an epoch may have millions.

    All ranks get similar lengths, because a rank has every ``world_size``-th example of a global batch, and
    neighbours have similar lengths.
    """

    names: list[str]
    """Names of the tasks."""
    tasks: np.ndarray
    """(B,) of indices into ``names``."""
    starts: np.ndarray
    """(B,): global batch i has ``examples[starts[i]:stops[i]]``."""
    stops: np.ndarray
    examples: np.ndarray
    world_size: int
    rank: int

    @classmethod
    def empty(cls, names: list[str], world_size: int, rank: int) -> EpochBatches:
        none = np.zeros(0, dtype=np.int64)
        return cls(names, none, none, none, none, world_size, rank)

    def __len__(self) -> int:
        return len(self.tasks)

    @overload
    def __getitem__(self, index: int) -> TaskBatch: ...
    @overload
    def __getitem__(self, index: slice) -> EpochBatches: ...
    def __getitem__(self, index: int | slice) -> TaskBatch | EpochBatches:
        if isinstance(index, slice):
            return self.take(index)
        whole = self.examples[self.starts[index] : self.stops[index]]
        own = whole[self.rank :: self.world_size].tolist()
        name = self.names[self.tasks[index]]
        if own:
            return TaskBatch(name, own)
        return TaskBatch(name, whole[:1].tolist(), is_filler=True)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EpochBatches | list) and list(self) == list(other)

    def take(self, which: slice | np.ndarray) -> EpochBatches:
        """Return the batches at a slice or at indices, in their order."""
        return replace(
            self, tasks=self.tasks[which], starts=self.starts[which], stops=self.stops[which]
        )

    def append(
        self, task: int, order: np.ndarray, starts: np.ndarray, stops: np.ndarray
    ) -> EpochBatches:
        """Return these batches and those of one task, as :data:`Cuts` has them."""
        added = np.full(len(starts), task)
        return self.join(replace(self, tasks=added, starts=starts, stops=stops, examples=order))

    def join(self, other: EpochBatches) -> EpochBatches:
        """Return these batches, then the others."""
        shift = len(self.examples)
        return replace(
            self,
            tasks=np.concatenate([self.tasks, other.tasks]),
            starts=np.concatenate([self.starts, other.starts + shift]),
            stops=np.concatenate([self.stops, other.stops + shift]),
            examples=np.concatenate([self.examples, other.examples]),
        )


class MultiTaskSampler:
    """Forms the batches of every epoch as a pure function of (seed, epoch).

    A batch has examples of one task, by default of similar length. Where labels and lengths correlate,
    batches of one length would have similar labels, and their gradients would vary more than those of
    random batches: lengths are then compared mainly within strata of labels (data_utils/strata.py).

    Args:
        lengths: task -> token length of each of its training examples, (N,). The first task is
            the main task for ``ratio`` mixing and ``main_last``.
        batch_size: number of examples in a batch, over all processes together.
        mixing: strategy and settings that determine the number of batches of each task.
        epochs: greatest number of epochs of the run.
        max_updates: greatest number of optimizer updates; None: no limit. The attribute ``epochs`` is
            the number of epochs that the run begins under both limits. ``annealed`` mixing depends on
            it.
        accumulate: number of batches in an update; the last of an epoch may have fewer.
        spread: divide the batches of each task evenly over the updates (data_utils/spread.py), with
            ``main_last`` those of the other tasks, then those of the first.
        seed: seed of all random draws, not negative.
        group_by_length: sort random pools of examples by length before cutting them into batches.
        pool: number of batches in a pool. A task has at least MIN_POOLS pools if it has that many
            batches, so a pool has at most about a third of them.
        labels: task -> one label per training example, (N,), a number or a class id; a task without such
            labels is missing.
        world_size: number of processes. In each step, all processes have the same task and share the
            examples of one global batch; their numbers differ by at most 1. A process that gets none
            has one example of another process, marked as filler.
        rank: index of this process.

    Raises:
        UserError: there is no task, a task has no examples, or a setting is out of range.
    """

    def __init__(
        self,
        lengths: dict[str, np.ndarray],
        batch_size: int,
        *,
        mixing: MixingSettings,
        epochs: int,
        seed: int,
        max_updates: int | None = None,
        accumulate: int = 1,
        spread: bool = False,
        group_by_length: bool = True,
        pool: int = 50,
        labels: Mapping[str, np.ndarray] | None = None,
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
            raise UserError("data.use: there is no task to train; name at least one.")
        for task, task_lengths in lengths.items():
            if len(task_lengths) == 0:
                raise UserError(f"task {task!r} has no training examples.")
        assert 0 <= rank < world_size
        self.lengths = lengths
        self.batch_size = batch_size
        self.mixing = mixing
        self.epochs = epochs
        self.seed = seed
        self.accumulate = accumulate
        self.spread = spread
        self.group_by_length = group_by_length
        self.pool = pool
        self.strata = {
            task: label_strata(own, (labels or {}).get(task), batch_size=batch_size)
            for task, own in lengths.items()
        }
        self.world_size = world_size
        self.rank = rank
        if max_updates is not None:
            self.epochs = self._epochs_within(max_updates)

    def _epochs_within(self, updates: int) -> int:
        """Count the epochs that a run of so many updates begins, at most ``self.epochs``.

        The number of batches in an epoch does not depend on the number of epochs in any built-in
        strategy.
        """
        for epoch in range(self.epochs):
            updates -= -(-self.num_batches(epoch) // self.accumulate)
            if updates <= 0:
                return epoch + 1
        return self.epochs

    def counts(self, epoch: int) -> dict[str, int]:
        """Return the number of batches of each task in an epoch, without forming them."""
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
        """Return ``len(batches(epoch))`` without forming them. It is the same on every rank."""
        return sum(self.counts(epoch).values())

    def batches(self, epoch: int) -> EpochBatches:
        """Return the batches of this rank in an epoch (from 0), in training order."""
        counts = self.counts(epoch)
        names = list(self.lengths)
        stages = [names[1:], names[:1]] if self.mixing.main_last else [names]
        rng = self._rng(epoch, ORDER)
        plan = EpochBatches.empty(names, self.world_size, self.rank)
        for tasks in stages:
            stage = plan[:0]
            for task in tasks:
                for order, starts, stops in self._form(task, counts[task], epoch):
                    stage = stage.append(names.index(task), order, starts, stops)
            stage = stage.take(rng.permutation(len(stage)))
            if self.spread and len(stage):
                stage = stage.take(spread_over_updates(stage.tasks, self.accumulate, rng))
            plan = plan.join(stage)
        return plan

    def _form(self, task: str, count: int, epoch: int) -> list[Cuts]:
        """Form ``count`` batches of one task: full passes, then a random part of another pass."""
        rng = self._rng(epoch, FIRST_TASK + list(self.lengths).index(task))
        formed: list[Cuts] = []
        while count > 0:
            order, starts, stops = self._one_pass(task, rng)
            formed.append((order, starts[:count], stops[:count]))
            count -= len(starts)
        return formed

    def _one_pass(self, task: str, rng: np.random.Generator) -> Cuts:
        """Form batches that contain every example once, in random order."""
        n = len(self.lengths[task])
        order = rng.permutation(n)  # (N,) of example indices
        sizes = np.full(-(-n // self.batch_size), self.batch_size)
        sizes[-1] -= sizes.sum() - n
        # The short batch has a random position. If it were always last, it would always have the
        # longest examples. It also shifts the cuts after it, so that batches vary between epochs.
        rng.shuffle(sizes)
        stops = sizes.cumsum()
        if self.group_by_length:
            keys = self._sort_keys(task, rng)
            pools = min(len(sizes), max(MIN_POOLS, -(-len(sizes) // self.pool)))
            for members in np.array_split(np.arange(len(sizes)), pools):
                chunk = order[stops[members[0]] - sizes[members[0]] : stops[members[-1]]]
                # A stable sort keeps examples of equal length in shuffled order.
                chunk[:] = chunk[np.argsort(keys[chunk], kind="stable")]
        shuffled = rng.permutation(len(sizes))
        return order, (stops - sizes)[shuffled], stops[shuffled]

    def _sort_keys(self, task: str, rng: np.random.Generator) -> np.ndarray:
        """Return what the examples of a pool are sorted by, (N,)."""
        lengths, strata = self.lengths[task], self.strata[task]
        return length_keys(lengths, strata, rng) if strata.any() else lengths

    def _rng(self, epoch: int, stream: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, epoch, stream])
