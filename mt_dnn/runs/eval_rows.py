"""The rows of evaluations during training: all, or a fixed random part (``data.eval_limit``)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from data_utils.store import StoreSubset, TaskStore
from mt_dnn.runs.stores import row_of_examples


def limited(
    stores: Mapping[str, TaskStore | StoreSubset], limit: int | None, seed: int
) -> dict[str, TaskStore | StoreSubset]:
    """Take at most ``limit`` rows of each data set.

    The rows depend on their number and the seed only, so that all evaluations of a run, and runs with
    the same seed, score the same rows. All windows of a row are taken.

    Args:
        stores: by data set name.
        limit: number of rows; None takes all.
        seed: seed of the run.

    Returns:
        The same stores, by data set name, with a subset in place of each that has more rows.
    """
    chosen: dict[str, TaskStore | StoreSubset] = {}
    for name, store in stores.items():
        chosen[name] = store
        row = row_of_examples(store)
        count = int(row[-1]) + 1 if len(row) else 0
        if limit is not None and limit < count:
            picked = np.random.default_rng([seed, 1]).choice(count, limit, replace=False)
            chosen[name] = StoreSubset(store, np.flatnonzero(np.isin(row, picked)))
    return chosen
