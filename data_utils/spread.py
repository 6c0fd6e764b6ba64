"""Divide the batches of an epoch over its updates so that an update mixes tasks."""

from __future__ import annotations

import numpy as np


def spread_over_updates(tasks: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Order batches so that each update has its batches from as many tasks as possible.

    The batches of a task are divided evenly over the updates: the numbers in any two full updates differ
    by at most 1, and the last update, which may be shorter, has its share. Therefore an update has two
    batches of a task only if the task has more batches than there are full updates.

    Args:
        tasks: the task of each batch, (B,), in random order. Batches of one task keep their order.
        size: number of batches in a full update.
        rng: decides which updates get the rarer tasks, and the order within an update.

    Returns:
        Indices into ``tasks``, (B,). An update is ``size`` consecutive entries.

    Example:
        >>> tasks = np.array([0, 0, 0, 0, 1, 1, 2])
        >>> order = spread_over_updates(tasks, 2, np.random.default_rng(1))
        >>> [sorted(tasks[order[i : i + 2]].tolist()) for i in (0, 2, 4, 6)]
        [[0, 1], [0, 1], [0, 2], [0]]
    """
    full, rest = divmod(len(tasks), size)
    names, counts = np.unique(tasks, return_counts=True)  # (K,)
    last = _share(counts, rest, rng)  # (K,), batches of each task in the shorter update
    pattern = np.concatenate(
        [names[_full_updates(counts - last, full, size, rng)], rng.permutation(names.repeat(last))]
    )
    order = np.empty(len(tasks), dtype=np.int64)
    # A stable sort lists the places of each task, and its batches, in their order.
    order[np.argsort(pattern, kind="stable")] = np.argsort(tasks, kind="stable")
    return order


def _share(counts: np.ndarray, rest: int, rng: np.random.Generator) -> np.ndarray:
    """Draw ``rest`` batches in proportion to ``counts``, by the largest remainders."""
    quotas = counts * (rest / counts.sum())
    share = np.floor(quotas + 1e-9).astype(np.int64)
    missing = rest - share.sum()
    largest = np.lexsort((rng.random(len(counts)), share - quotas))[:missing]
    share[largest] += 1
    return share


def _full_updates(
    counts: np.ndarray, updates: int, size: int, rng: np.random.Generator
) -> np.ndarray:
    """Return the task of each batch of the full updates, as an index into ``counts``.

    A task of c batches is c // updates times in every update, and once more in those that have the most
    places left, which always suffices (the construction behind the Gale-Ryser theorem).
    """
    places = np.full(updates, size)  # left in each update
    found = []
    for task in rng.permutation(len(counts)):
        each, more = divmod(int(counts[task]), max(updates, 1))
        chosen = np.argsort(rng.random(updates) - places)[:more]
        number = np.full(updates, each)
        number[chosen] += 1
        places = places - number
        found.append((task, np.arange(updates).repeat(number)))
    update = np.concatenate([where for _, where in found])
    task_of = np.concatenate([np.full(len(where), task) for task, where in found])
    return task_of[np.argsort(update + rng.random(len(update)))]
