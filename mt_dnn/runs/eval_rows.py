"""The rows of evaluations during training: all, or a fixed random part (``data.eval_limit``)."""

from __future__ import annotations

from collections.abc import Mapping

from data_utils.store import StoreSubset, TaskStore
from mt_dnn.runs.stores import random_rows


def limited(
    stores: Mapping[str, TaskStore | StoreSubset], limit: int | None, seed: int
) -> dict[str, TaskStore | StoreSubset]:
    """Take at most ``limit`` rows of each data set.

    The rows depend on their number and the seed only, so that all evaluations of a run, and runs with
    the same seed, score the same rows.

    Args:
        stores: by data set name.
        limit: number of rows; None takes all.
        seed: seed of the run.

    Returns:
        The same stores, by data set name, with a subset in place of each that has more rows.
    """
    return {name: random_rows(store, limit, (seed, 1)) for name, store in stores.items()}
