"""Handing out the sampler's batches, and going on from a saved place."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch

from data_utils.collator import Batch, pad
from data_utils.errors import UserError
from data_utils.loader import TrainLoader
from data_utils.sampler import MultiTaskSampler
from mt_dnn.config.run import MixingConfig

LENGTHS = {
    "a": np.random.default_rng(0).integers(3, 20, 50),
    "b": np.random.default_rng(1).integers(3, 20, 23),
}


def collate(store: tuple[str, list[np.ndarray]], indices: list[int]) -> Batch:
    task, rows = store
    chosen = [rows[index] for index in indices]
    ids = pad(chosen, 0)
    return Batch(
        task=task,
        uids=[f"{task}-{index}" for index in indices],
        input_ids=ids,
        attention_mask=(ids != 0).long(),
    )


def make_loader(workers: int = 0, batch_size: int = 8, collate_with=collate) -> TrainLoader:
    rng = np.random.default_rng(2)
    stores = {
        task: (task, [rng.integers(1, 99, length) for length in lengths])
        for task, lengths in LENGTHS.items()
    }
    mixing = MixingConfig(name="ratio", ratio=0.3)
    sampler = MultiTaskSampler(LENGTHS, batch_size, mixing=mixing, epochs=3, seed=5)
    return TrainLoader(sampler, stores, collate=collate_with, workers=workers)


def contents(batches) -> list[tuple]:
    return [
        (batch.task, batch.uids, batch.input_ids.tolist(), batch.attention_mask.tolist())
        for batch in batches
    ]


def test_each_for_loop_is_one_epoch():
    loader, other = make_loader(), make_loader()
    for epoch in range(3):
        assert len(loader) == loader.sampler.num_batches(epoch)
        batches = list(loader)
        assert contents(batches) == contents(other)
        assert len(batches) == loader.sampler.num_batches(epoch)
    assert loader.epoch == 3


def numpy_key() -> list[int]:
    return np.random.get_state(legacy=False)["state"]["key"].tolist()


def whole_run(loader: TrainLoader) -> list[tuple]:
    """Everything from where the loader stands to the end of epoch 2."""
    rest = []
    while loader.epoch < 3:
        rest += contents(loader)
    return rest


def test_an_epoch_is_the_samplers_order():
    loader = make_loader()
    expected = [
        (batch.task, [f"{batch.task}-{index}" for index in batch.indices])
        for batch in loader.sampler.batches(0)
    ]
    assert [(batch.task, batch.uids) for batch in loader] == expected


def test_epochs_follow_one_another():
    loader = make_loader()
    lengths = [len(list(loader)) for _ in range(3)]
    assert lengths == [loader.sampler.num_batches(epoch) for epoch in range(3)]
    assert loader.state_dict() == {"epoch": 3, "consumed": 0}


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("consumed", [0, 3, 9])
def test_resuming_yields_exactly_the_rest(workers, consumed):
    uninterrupted = whole_run(make_loader())
    assert make_loader().sampler.num_batches(1) == 9  # 9 is the place behind the last batch
    first = make_loader(workers)
    list(first)
    iterator = iter(first)
    seen = list(islice(iterator, consumed))
    state = first.state_dict()
    iterator.close()
    # Handed out, whatever the workers hold ready; the last batch does not end the epoch yet.
    assert state == {"epoch": 1, "consumed": len(seen)} == {"epoch": 1, "consumed": consumed}

    resumed = make_loader(workers)
    resumed.load_state_dict(state)
    rest = whole_run(resumed)
    assert rest == uninterrupted[first.sampler.num_batches(0) + consumed :]


def test_a_batch_counts_once_it_is_handed_out():
    loader = make_loader()
    for number, _ in enumerate(loader, start=1):
        assert loader.state_dict() == {"epoch": 0, "consumed": number}
    assert loader.state_dict() == {"epoch": 1, "consumed": 0}


def test_leaving_the_loop_keeps_the_place():
    loader = make_loader()
    start = contents(islice(loader, 2))
    rest = contents(loader)
    assert start + rest == contents(make_loader())


@pytest.mark.parametrize("workers", [0, 1])
def test_the_global_generators_are_left_alone(workers):
    torch_state, numpy_state = torch.get_rng_state(), numpy_key()
    list(make_loader(workers))
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert numpy_key() == numpy_state


def test_a_place_that_no_longer_exists_is_refused():
    with pytest.raises(UserError, match="seen 8 batches of epoch 1, which now has 1"):
        make_loader(batch_size=64).load_state_dict({"epoch": 1, "consumed": 8})


def fail(store: tuple[str, list[np.ndarray]], indices: list[int]) -> Batch:
    raise UserError(f"row of {store[0]} is broken")


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_in_a_worker_is_the_same_error_here(workers):
    loader = make_loader(workers, collate_with=fail)
    with pytest.raises(UserError, match="is broken"):
        list(loader)
    assert loader.state_dict() == {"epoch": 0, "consumed": 0}
