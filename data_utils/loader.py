"""Batches of the training mixture, made ahead by worker processes, from a place that can be saved."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Generic, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

from data_utils.collator import Batch
from data_utils.errors import UserError
from data_utils.sampler import MultiTaskSampler, TaskBatch

Store = TypeVar("Store")
"""Whatever holds the examples of one (task, split); only the collate function looks into it."""

Collate = Callable[[Store, list[int]], Batch]
"""``collate(store, indices) -> Batch``; deterministic."""


class _Collated(Dataset, Generic[Store]):
    """A dataset whose keys are whole batches, so that a worker reads and pads in one go."""

    def __init__(self, datasets: Mapping[str, Store], collate: Collate[Store]) -> None:
        self.datasets = datasets
        self.collate = collate

    def __getitem__(self, batch: TaskBatch) -> Batch:
        return self.collate(self.datasets[batch.task], batch.indices)


class TrainLoader(Generic[Store]):
    """Hands out the sampler's batches and knows how many it has handed out.

    Args:
        sampler: the order.
        datasets: task -> its training examples.
        collate: makes the batch; must be picklable where processes are not forked.
        workers: processes that make batches ahead; 0 makes them here. Does not change the batches.
        pin_memory: copy batches into page-locked memory, for asynchronous copies to CUDA.

    Example:
        >>> while loader.epoch < epochs:
        ...     for batch in loader.epoch_batches():
        ...         update(batch)
        ...         save(loader.state_dict())  # resumes at the batch after this one
    """

    def __init__(
        self,
        sampler: MultiTaskSampler,
        datasets: Mapping[str, Store],
        *,
        collate: Collate[Store],
        workers: int = 0,
        pin_memory: bool = False,
    ) -> None:
        self.sampler = sampler
        self.dataset = _Collated(datasets, collate)
        self.workers = workers
        self.pin_memory = pin_memory
        self.epoch = 0
        self.consumed = 0
        """Batches of this epoch handed out; those that workers hold ready do not count."""

    def epoch_batches(self) -> Generator[Batch, None, None]:
        """What is left of the current epoch; once exhausted, ``epoch`` is the next one.

        Leaving the loop early keeps the place: the next call goes on behind the last batch.
        """
        loader: DataLoader[Batch] = DataLoader(
            self.dataset,
            batch_size=None,
            sampler=self.sampler.batches(self.epoch)[self.consumed :],
            num_workers=self.workers,
            pin_memory=self.pin_memory,
            # Without its own generator a DataLoader draws its workers' seed from the global one.
            generator=torch.Generator(),
        )
        for batch in loader:
            self.consumed += 1
            yield batch
        self.epoch += 1
        self.consumed = 0

    def state_dict(self) -> dict[str, int]:
        return {"epoch": self.epoch, "consumed": self.consumed}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go to a saved place.

        Raises:
            UserError: the epoch is shorter than that, so data, batch size or mixing have changed.
        """
        available = self.sampler.num_batches(state["epoch"])
        if state["consumed"] > available:
            raise UserError(
                f"the checkpoint has seen {state['consumed']} batches of epoch {state['epoch']}, "
                f"which now has {available}: data, batch.size or mixing differ from the saved run"
            )
        self.epoch = state["epoch"]
        self.consumed = state["consumed"]
