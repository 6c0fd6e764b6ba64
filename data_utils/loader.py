"""A resumable loader of training batches with worker processes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

from data_utils.collator import Batch
from data_utils.errors import UserError
from data_utils.sampler import MultiTaskSampler, TaskBatch

Store = TypeVar("Store")
"""Type of the object with the examples of a task. Only the collate function accesses it."""

Collate = Callable[[Store, list[int]], Batch]
"""``collate(store, indices) -> Batch``; must be deterministic."""


class _Collated(Dataset, Generic[Store]):
    """A dataset indexed by batch, so that a worker reads and pads a whole batch at once."""

    def __init__(self, datasets: Mapping[str, Store], collate: Collate[Store]) -> None:
        self.datasets = datasets
        self.collate = collate

    def __getitem__(self, batch: TaskBatch) -> Batch:
        made = self.collate(self.datasets[batch.task], batch.indices)
        return dataclasses.replace(made, is_filler=True) if batch.is_filler else made


class TrainLoader(Generic[Store]):
    """Yields the batches of a sampler and keeps its position, which can be saved.

    Args:
        sampler: determines the batches and their order.
        datasets: task -> training examples of the task.
        collate: makes a batch; must be picklable if processes are spawned and not forked.
        workers: number of processes that prepare batches; 0 prepares them in this process. The
            batches do not depend on it.
        pin_memory: copy batches into page-locked memory, for asynchronous copies to CUDA.

    A ``for`` loop over the loader is one epoch, as in torch; the next loop is the next epoch.

    Example::

        for epoch in range(epochs):
            for batch in loader:
                update(batch)
                save(loader.state_dict())  # resumes at the batch after this one
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
        """Number of batches yielded in this epoch; batches prefetched by workers do not count."""

    def __len__(self) -> int:
        """Number of batches in the current epoch."""
        return self.sampler.num_batches(self.epoch)

    def __iter__(self) -> Iterator[Batch]:
        """Yield the remaining batches of the current epoch, then advance ``epoch``.

        After an early exit from the loop, the next loop continues after the last yielded batch.
        """
        loader: DataLoader[Batch] = DataLoader(
            self.dataset,
            batch_size=None,
            sampler=self.sampler.batches(self.epoch)[self.consumed :],
            num_workers=self.workers,
            pin_memory=self.pin_memory,
            # By default a DataLoader draws the seed of its workers from the global generator.
            generator=torch.Generator(),
        )
        for batch in loader:
            self.consumed += 1
            yield batch
        self.epoch += 1
        self.consumed = 0

    def state_dict(self) -> dict[str, int]:
        """Return the position: the epoch, and the batches consumed in it."""
        return {"epoch": self.epoch, "consumed": self.consumed}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Continue from a saved position.

        Raises:
            UserError: the epoch has fewer batches than were consumed, which means that data, batch
                size or mixing have changed.
        """
        available = self.sampler.num_batches(state["epoch"])
        if state["consumed"] > available:
            raise UserError(
                f"the checkpoint has seen {state['consumed']} batches of epoch {state['epoch']}, "
                f"which now has {available}: data, batch.size or mixing differ from the saved run; "
                f"restore them, or start a new run"
            )
        self.epoch = state["epoch"]
        self.consumed = state["consumed"]
