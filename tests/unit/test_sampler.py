"""In what order: coverage, padding, randomness and the split over processes."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from data_utils.errors import UserError
from data_utils.registries import MIXINGS
from data_utils.sampler import MultiTaskSampler, TaskBatch
from mt_dnn.config.run import MixingConfig

Order = list[TaskBatch]


def rte_like_lengths(n: int = 2490) -> np.ndarray:
    """Log-normal lengths fitted to RTE's training set: median 61 tokens, 5% above 145."""
    drawn = np.random.default_rng(0).lognormal(4.107, 0.523, n)
    return np.clip(drawn, 13, 512).astype(int)


def make(
    lengths: dict[str, np.ndarray] | dict[str, int],
    batch_size: int = 32,
    *,
    epochs: int = 3,
    seed: int = 1,
    group_by_length: bool = True,
    pool: int = 50,
    world_size: int = 1,
    rank: int = 0,
    **mixing,
) -> MultiTaskSampler:
    """Tasks given by a number of examples get RTE-like lengths."""
    return MultiTaskSampler(
        {t: rte_like_lengths(v) if isinstance(v, int) else v for t, v in lengths.items()},
        batch_size,
        mixing=MixingConfig(**mixing),
        epochs=epochs,
        seed=seed,
        group_by_length=group_by_length,
        pool=pool,
        world_size=world_size,
        rank=rank,
    )


@pytest.mark.parametrize(
    ("updates", "accumulate", "epochs"),
    [(1, 1, 1), (12, 1, 1), (13, 1, 2), (1000, 1, 5), (3, 5, 1), (4, 5, 2), (None, 1, 5)],
)
def test_epochs_that_a_limit_of_updates_leaves(updates, accumulate, epochs):
    """12 batches in an epoch; with 5 in an update there are 3 updates, the last of 2 batches."""
    lengths = {"a": np.ones(300, int), "b": np.ones(60, int)}
    mixing = MixingConfig(name="annealed")
    limits = {"max_updates": updates, "accumulate": accumulate}
    sampler = MultiTaskSampler(lengths, 30, mixing=mixing, epochs=5, seed=0, **limits)
    assert sampler.num_batches(0) == 12
    assert sampler.epochs == epochs


def times_seen(order: Order, task: str, n: int) -> np.ndarray:
    """How often each example of the task occurs, (n,)."""
    indices = [index for batch in order if batch.task == task for index in batch.indices]
    return np.bincount(np.array(indices, int), minlength=n)


def padding(order: Order, lengths: np.ndarray) -> float:
    """Share of the tokens of rectangular batches that is padding."""
    real = sum(lengths[batch.indices].sum() for batch in order)
    return 1 - real / sum(len(batch.indices) * lengths[batch.indices].max() for batch in order)


def co_occurrence(first: Order, second: Order) -> float:
    """Of the pairs that share a batch in ``second``, the fraction that shared one in ``first``."""
    place = {index: i for i, batch in enumerate(first) for index in batch.indices}
    again = pairs = 0
    for batch in second:
        together = Counter(place[index] for index in batch.indices).values()
        again += sum(count * (count - 1) for count in together)
        pairs += len(batch.indices) * (len(batch.indices) - 1)
    return again / pairs


@pytest.mark.parametrize("n", [1, 2, 31, 32, 33, 64, 97, 1000, 5000])
@pytest.mark.parametrize("group_by_length", [True, False])
@pytest.mark.parametrize("pool", [1, 7, 10**6])
def test_proportional_has_every_example_exactly_once(n, group_by_length, pool):
    order = make({"a": n}, group_by_length=group_by_length, pool=pool).batches(0)
    assert (times_seen(order, "a", n) == 1).all()
    sizes = sorted(len(batch.indices) for batch in order)
    assert len(sizes) == -(-n // 32)
    assert all(size == 32 for size in sizes[1:])  # at most one is short


def test_batches_are_of_one_task_and_every_task_is_complete():
    order = make({"a": 1000, "b": 77, "c": 3}).batches(0)
    for task, n in {"a": 1000, "b": 77, "c": 3}.items():
        assert (times_seen(order, task, n) == 1).all()


def test_an_epoch_depends_on_seed_and_epoch_only():
    sampler = make({"a": 500, "b": 100}, name="ratio")
    late = sampler.batches(2)
    sampler.batches(0)
    assert sampler.batches(2) == late
    assert make({"a": 500, "b": 100}, name="ratio").batches(2) == late
    assert sampler.batches(1) != late
    assert make({"a": 500, "b": 100}, name="ratio", seed=2).batches(2) != late


def test_the_global_generator_is_neither_used_nor_seeded():
    before = np.random.get_state(legacy=False)["state"]["key"].tolist()
    first = make({"a": 500}, name="ratio").batches(0)
    assert np.random.get_state(legacy=False)["state"]["key"].tolist() == before
    np.random.seed(99)
    assert make({"a": 500}, name="ratio").batches(0) == first


def test_grouping_pads_at_most_a_tenth_of_rte_like_batches():
    lengths = rte_like_lengths()
    grouped, shuffled = make({"a": lengths}), make({"a": lengths}, group_by_length=False)
    for epoch in range(5):
        assert padding(grouped.batches(epoch), lengths) < 0.10
        assert padding(shuffled.batches(epoch), lengths) > 0.50


@pytest.mark.parametrize(
    "lengths",
    # Real lengths are full of ties, which part neighbours by themselves; distinct ones are not,
    # and 2496 divides into full batches, so that no cut shifts.
    [rte_like_lengths(), np.arange(1, 2497)],
    ids=["rte-like", "all distinct"],
)
@pytest.mark.parametrize("pool", [50, 10**6])
def test_batches_are_made_anew_each_epoch(lengths, pool):
    sampler = make({"a": lengths}, pool=pool)
    orders = [sampler.batches(epoch) for epoch in range(4)]
    assert co_occurrence(orders[0], orders[0]) == 1
    for first, second in pairwise(orders):
        assert co_occurrence(first, second) < 0.3
    plain = make({"a": lengths}, group_by_length=False)
    assert co_occurrence(plain.batches(0), plain.batches(1)) < 0.05


@pytest.mark.parametrize("group_by_length", [True, False])
def test_a_label_sorted_file_gives_no_one_class_batches(group_by_length):
    labels = np.arange(2490) >= 1245
    sampler = make({"a": 2490}, group_by_length=group_by_length)
    for epoch in range(3):
        for batch in sampler.batches(epoch):
            if len(batch.indices) == 32:
                assert 0.1 < labels[batch.indices].mean() < 0.9


def test_the_order_of_batches_says_nothing_about_their_length():
    lengths = rte_like_lengths()
    sampler = make({"a": lengths})
    correlations = []
    for epoch in range(40):
        longest = [lengths[batch.indices].max() for batch in sampler.batches(epoch)]
        correlations.append(np.corrcoef(longest, np.arange(len(longest)))[0, 1])
    # Deviation of one correlation over 78 batches is 0.11, of the mean of 40 0.018.
    assert abs(np.mean(correlations)) < 0.06
    assert np.std(correlations) > 0.05


def test_the_short_batch_is_not_always_the_longest_or_the_last():
    lengths = rte_like_lengths()  # 2490 = 77 * 32 + 26
    sampler = make({"a": lengths})
    places, ranks = [], []
    for epoch in range(20):
        order = sampler.batches(epoch)
        place = next(i for i, batch in enumerate(order) if len(batch.indices) == 26)
        places.append(place)
        ranks.append((lengths < lengths[order[place].indices].mean()).mean())
    assert len(set(places)) > 10
    assert np.ptp(ranks) > 0.5


def test_a_task_drawn_for_more_than_it_has_goes_round_again_in_new_batches():
    # Uniform: 40 batches in all, 20 each: two and six sevenths passes over b's 7 batches.
    sampler = make({"a": 32 * 33, "b": 7 * 32}, name="uniform")
    order = sampler.batches(0)
    assert Counter(batch.task for batch in order) == {"a": 20, "b": 20}
    seen = times_seen(order, "b", 7 * 32)
    assert Counter(seen.tolist()) == {3: 6 * 32, 2: 32}
    batches = [frozenset(batch.indices) for batch in order if batch.task == "b"]
    assert len(set(batches)) == len(batches)


def test_a_task_drawn_for_fewer_takes_another_random_part_each_epoch():
    n = 32 * 33
    sampler = make({"a": n, "b": 7 * 32}, name="uniform", epochs=30)
    seen = np.array([times_seen(sampler.batches(epoch), "a", n) for epoch in range(30)])
    assert seen.max() == 1
    assert (seen.sum(axis=1) == 20 * 32).all()
    assert (seen.sum(axis=0) > 0).all()
    # Neither end of the lengths is preferred: 30 * 20 / 33 = 18.2 times each on average.
    by_length = seen.sum(axis=0)[np.argsort(rte_like_lengths(n))]
    np.testing.assert_allclose(
        [part.mean() for part in np.array_split(by_length, 4)], 18.2, atol=2.5
    )


def test_main_last_has_the_others_shuffled_first():
    order = make({"main": 320, "b": 320, "c": 320}, main_last=True).batches(0)
    tasks = [batch.task for batch in order]
    assert tasks[20:] == ["main"] * 10
    assert set(tasks[:20]) == {"b", "c"}
    assert tasks[:20] not in (["b"] * 10 + ["c"] * 10, ["c"] * 10 + ["b"] * 10)


def test_tasks_are_interleaved():
    tasks = [batch.task for batch in make({"a": 320, "b": 320}).batches(0)]
    assert sum(first != second for first, second in pairwise(tasks)) > 3


@pytest.mark.parametrize(("batch_size", "world_size"), [(32, 2), (32, 4), (6, 4), (3, 8)])
def test_ranks_share_each_global_batch(batch_size, world_size):
    sizes = {"a": 101, "b": 53}
    whole = make(sizes, batch_size).batches(1)
    parts = [
        make(sizes, batch_size, world_size=world_size, rank=rank).batches(1)
        for rank in range(world_size)
    ]
    for step, batch in enumerate(whole):
        shares = [part[step] for part in parts]
        assert {share.task for share in shares} == {batch.task}
        real = [share for share in shares if not share.is_filler]
        together = [index for share in real for index in share.indices]
        assert Counter(together) == Counter(batch.indices)
        counts = [len(share.indices) for share in real]
        assert max(counts) - min(counts) <= 1
        # A process without examples of its own repeats one.
        filler = [share.indices for share in shares if share.is_filler]
        assert filler == [batch.indices[:1]] * max(0, world_size - len(batch.indices))


@pytest.mark.parametrize("name", MIXINGS.names())
def test_the_number_of_batches_is_known_without_forming_them(name):
    sampler = make({"a": 333, "b": 1000, "c": 40}, name=name, ratio=1.5, cap=300)
    formed = [len(sampler.batches(epoch)) for epoch in range(3)]
    assert [sampler.num_batches(epoch) for epoch in range(3)] == formed
    second = make({"a": 333, "b": 1000, "c": 40}, name=name, ratio=1.5, cap=300, world_size=4)
    assert len(second.batches(0)) == formed[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 0}, "batch.size: 0"),
        ({"pool": 0}, "batch.pool: 0"),
        ({"seed": -1}, "seed: -1"),
        ({"temperature": 0.0}, "mixing.temperature"),
        ({"name": "nothing"}, "mixing.name"),
    ],
)
def test_bad_settings_are_refused_at_once(change, message):
    with pytest.raises(UserError, match=message):
        make({"a": 10}, **change)


def test_empty_tasks_are_refused():
    with pytest.raises(UserError, match="task 'b' has no training examples"):
        make({"a": 10, "b": 0})
    with pytest.raises(UserError, match="no task"):
        make({})


@pytest.mark.parametrize("rank", [0, 1])
def test_batches_formed_on_reading_are_those_of_the_list(rank):
    sampler = make({"a": 103, "b": 7}, batch_size=4, world_size=2, rank=rank)
    plan = sampler.batches(0)
    whole = list(plan)
    assert len(plan) == len(whole) == sampler.num_batches(0)
    assert list(plan[5:]) == whole[5:] == [plan[i] for i in range(5, len(plan))]
    assert plan[-1] == whole[-1]
    assert plan[3:][2:] == plan[5:]
    with pytest.raises(IndexError):
        plan[len(plan)]
