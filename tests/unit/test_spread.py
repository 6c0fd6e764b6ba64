"""batch.spread: the batches of an update come from different tasks."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from data_utils.errors import UserError
from data_utils.sampler import MultiTaskSampler, TaskBatch
from mt_dnn.config.bounds import resolve_config
from mt_dnn.config.run import BatchConfig, MixingConfig, RunConfig, TrainConfig


def sampler(
    batches: dict[str, int],
    accumulate: int,
    *,
    spread: bool = True,
    main_last: bool = False,
    **others: Any,
) -> MultiTaskSampler:
    """Tasks with so many batches of two examples."""
    return MultiTaskSampler(
        {task: np.arange(1, 2 * number + 1) for task, number in batches.items()},
        2,
        mixing=MixingConfig(main_last=main_last),
        epochs=3,
        seed=others.pop("seed", 1),
        accumulate=accumulate,
        spread=spread,
        **others,
    )


def updates(order: list[TaskBatch], accumulate: int) -> list[Counter[str]]:
    """Task -> its number of batches, for each update of the epoch."""
    tasks = [batch.task for batch in order]
    return [Counter(tasks[i : i + accumulate]) for i in range(0, len(tasks), accumulate)]


@pytest.mark.parametrize("accumulate", [2, 3, 4, 7])
@pytest.mark.parametrize("main_last", [False, True])
def test_a_task_is_divided_evenly_and_twice_in_an_update_only_where_it_must(accumulate, main_last):
    rng = np.random.default_rng(3)
    for trial in range(40):
        batches = {f"t{i}": int(n) for i, n in enumerate(rng.integers(1, 30, rng.integers(2, 6)))}
        made = sampler(batches, accumulate, main_last=main_last, seed=trial)
        order = list(made.batches(0))
        assert Counter(batch.task for batch in order) == batches  # the mixture is what it was
        others = order[: len(order) - batches["t0"]] if main_last else order
        found = updates(others, accumulate)
        full = [update for update in found if update.total() == accumulate]
        for task, number in Counter(batch.task for batch in others).items():
            numbers = [update[task] for update in full]
            assert max(numbers, default=0) - min(numbers, default=0) <= 1
            if number <= len(full):
                assert max(update[task] for update in found) == 1


def test_the_updates_of_an_epoch_mix_as_many_tasks_as_they_can():
    found = updates(list(sampler({"a": 50, "b": 25, "c": 20, "d": 5}, 4).batches(0)), 4)
    assert len(found) == 25
    assert all(update["a"] == 2 and update["b"] == 1 for update in found)
    assert sorted(update["c"] + update["d"] for update in found) == [1] * 25


def test_rare_tasks_are_anywhere_in_an_epoch_and_meet_all_others():
    made = sampler({"a": 100, "b": 40, "c": 30, "d": 15, "e": 15}, 4)
    places: Counter[int] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    for epoch in range(40):
        for index, update in enumerate(updates(list(made.batches(epoch)), 4)):
            places[5 * index // 50] += update["d"]
            pairs.update((one, other) for one in update for other in update if one < other)
    assert min(places.values()) > 0.5 * max(places.values())
    assert len(pairs) == 10


def test_an_epoch_is_a_function_of_the_seed_and_the_epoch():
    batches = {"a": 20, "b": 9, "c": 5}
    made = sampler(batches, 3)
    late = made.batches(2)
    made.batches(0)
    assert sampler(batches, 3).batches(2) == late
    assert made.batches(1) != late
    assert sampler(batches, 3, seed=2).batches(2) != late


def test_all_processes_have_the_tasks_of_one():
    batches = {"a": 20, "b": 9, "c": 5}
    whole = sampler(batches, 3).batches(1)
    for rank in range(2):
        own = sampler(batches, 3, world_size=2, rank=rank).batches(1)
        assert [batch.task for batch in own] == [batch.task for batch in whole]
        assert all(
            set(mine.indices) <= set(theirs.indices)
            for mine, theirs in zip(own, whole, strict=True)
        )


def test_the_batches_themselves_are_those_without_it():
    def formed(spread: bool) -> list[tuple[str, list[int]]]:
        order = sampler({"a": 20, "b": 9}, 3, spread=spread).batches(0)
        return sorted((batch.task, batch.indices) for batch in order)

    assert formed(True) == formed(False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch": BatchConfig(spread=True)}, "batch.spread: true takes from different tasks the"),
        (
            {"train": TrainConfig(gradient_cosines=True)},
            "train.gradient_cosines: true compares the gradients of the batches of one update, "
            "which has a single batch; set batch.accumulate above 1",
        ),
    ],
)
def test_an_update_of_one_batch_has_nothing_to_spread_or_compare(changes, message):
    with pytest.raises(UserError, match=message):
        resolve_config(RunConfig(**changes))
