"""The sampler on generated tasks and settings: what holds for every mixture."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from data_utils.registries import MIXINGS
from data_utils.sampler import MultiTaskSampler
from mt_dnn.config.run import MixingConfig
from tests.fuzz.damage import fuzz

SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=4)


@st.composite
def samplers(draw: st.DrawFn, **fixed: object) -> MultiTaskSampler:
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    lengths = {f"t{i}": rng.integers(1, 60, size) for i, size in enumerate(draw(SIZES))}
    mixing = MixingConfig(
        name=str(fixed.get("mixing") or draw(st.sampled_from(sorted(MIXINGS.names())))),
        ratio=draw(st.floats(0, 3)),
        temperature=draw(st.floats(0.1, 10)),
        cap=draw(st.integers(1, 50)),
        main_last=draw(st.booleans()),
    )
    return MultiTaskSampler(
        lengths,
        draw(st.integers(1, 9)),
        mixing=mixing,
        epochs=draw(st.integers(1, 4)),
        seed=draw(st.integers(0, 2**63 - 1)),
        group_by_length=draw(st.booleans()),
        pool=draw(st.integers(1, 5)),
    )


def again(sampler: MultiTaskSampler, **changes: object) -> MultiTaskSampler:
    return MultiTaskSampler(
        sampler.lengths,
        sampler.batch_size,
        mixing=sampler.mixing,
        epochs=sampler.epochs,
        seed=sampler.seed,
        group_by_length=sampler.group_by_length,
        pool=sampler.pool,
        **changes,  # type: ignore[arg-type]
    )


@fuzz(150)
@given(sampler=samplers(), epoch=st.integers(0, 3))
def test_batches_are_a_function_of_seed_and_epoch(sampler: MultiTaskSampler, epoch: int) -> None:
    batches = sampler.batches(epoch)
    sampler.batches(epoch + 1)
    assert again(sampler).batches(epoch) == batches
    assert len(batches) == sampler.num_batches(epoch)
    assert Counter(batch.task for batch in batches) == Counter(sampler.counts(epoch))


@fuzz(150)
@given(sampler=samplers(), epoch=st.integers(0, 3))
def test_every_batch_is_valid(sampler: MultiTaskSampler, epoch: int) -> None:
    for batch in sampler.batches(epoch):
        assert 1 <= len(batch.indices) <= sampler.batch_size
        assert len(set(batch.indices)) == len(batch.indices)
        assert 0 <= min(batch.indices) <= max(batch.indices) < len(sampler.lengths[batch.task])


@fuzz(150)
@given(sampler=samplers(), epoch=st.integers(0, 3))
def test_no_example_is_seen_twice_more_than_another(sampler: MultiTaskSampler, epoch: int) -> None:
    batches = sampler.batches(epoch)
    for task, lengths in sampler.lengths.items():
        seen = np.zeros(len(lengths), int)
        for batch in batches:
            if batch.task == task:
                seen[batch.indices] += 1
        assert seen.max() - seen.min() <= 1


@fuzz(80)
@given(sampler=samplers(mixing="proportional"), epoch=st.integers(0, 3))
def test_proportional_mixing_sees_every_example_once(sampler: MultiTaskSampler, epoch: int) -> None:
    seen = Counter((b.task, i) for b in sampler.batches(epoch) for i in b.indices)
    assert set(seen.values()) == {1}
    assert len(seen) == sum(map(len, sampler.lengths.values()))


@fuzz(80)
@given(sampler=samplers(), world=st.integers(2, 4), epoch=st.integers(0, 3))
def test_processes_share_the_batches(sampler: MultiTaskSampler, world: int, epoch: int) -> None:
    whole = sampler.batches(epoch)
    parts = [again(sampler, world_size=world, rank=rank).batches(epoch) for rank in range(world)]
    for step, batch in enumerate(whole):
        own = [part[step] for part in parts]
        assert {part.task for part in own} == {batch.task}
        assert set().union(*(part.indices for part in own)) == set(batch.indices)
