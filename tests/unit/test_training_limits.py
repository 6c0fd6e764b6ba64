"""The limit on training rows: a row of several windows counts once and keeps all of them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from data_utils.store import StoreSubset
from mt_dnn.config.run import DataConfig, RunConfig
from mt_dnn.runs.stores import training_stores
from tests.support.tasks import make_task

WINDOWS = np.array([0, 1, 0, 0, 1, 2, 0, 0, 1])  # five rows


class Store:
    """What training reads of a store: lengths, windows and the task."""

    manifest = SimpleNamespace(task="t")
    labels = None

    def __init__(self, windows: np.ndarray | None, count: int) -> None:
        self.windows = windows
        self.lengths = np.arange(count)

    def __len__(self) -> int:
        return len(self.lengths)


def limited(store: Store | StoreSubset, limit: int, seed: int = 1) -> StoreSubset:
    config = RunConfig(seed=seed, data=DataConfig(train_limit=limit))
    return training_stores({"t": make_task()}, {"t_train": store}, config)["t"]


@pytest.mark.parametrize("limit", [1, 3, 4])
@pytest.mark.parametrize("seed", range(5))
def test_rows_are_counted_and_keep_all_windows(limit, seed):
    chosen = limited(Store(WINDOWS, 9), limit, seed)
    assert (chosen.windows == 0).sum() == limit
    row = np.cumsum(WINDOWS == 0) - 1
    picked = np.random.default_rng([seed, 0]).choice(5, limit, replace=False)
    assert chosen.indices.tolist() == [i for i in range(9) if row[i] in picked]


def test_a_limit_of_all_rows_changes_nothing():
    store = Store(WINDOWS, 9)
    assert limited(store, 5) is store


def test_without_windows_the_same_examples_as_ever():
    chosen = limited(Store(None, 20), 6)
    picked = np.random.default_rng([1, 0]).choice(20, 6, replace=False)
    assert chosen.indices.tolist() == sorted(picked.tolist())


def test_a_part_of_a_store_is_limited_by_its_own_rows():
    part = StoreSubset(Store(WINDOWS, 9), np.array([0, 1, 3, 4, 5]))  # rows 0 and 2
    assert len(limited(part, 1)) in (2, 3)
