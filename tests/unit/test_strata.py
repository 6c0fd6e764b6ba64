"""Batches of similar length whose labels vary as those of random batches do."""

from __future__ import annotations

import numpy as np
import pytest

from data_utils.sampler import MultiTaskSampler
from data_utils.strata import MIN_EXAMPLES, label_strata, length_keys
from mt_dnn.config.run import MixingConfig
from tests.unit.test_sampler import co_occurrence, padding

N = 5000


def similarity(n: int = N) -> tuple[np.ndarray, np.ndarray]:
    """Lengths and labels like STS-B's: lengths 14 to 80, labels 0 to 5, correlation about 0.2."""
    rng = np.random.default_rng(0)
    labels = np.round(np.clip(rng.normal(2.7, 1.5, n), 0, 5) * 5) / 5
    lengths = np.exp(rng.normal(3.0 + 0.06 * labels, 0.45)).clip(9, 80).astype(int)
    return lengths, labels.astype(np.float32)


def classes(n: int = N) -> tuple[np.ndarray, np.ndarray]:
    """Three classes, the third of which is longer."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, n)
    lengths = np.exp(rng.normal(3.0 + 0.2 * (labels == 2), 0.45)).clip(4, 80).astype(int)
    return lengths, labels


def make(
    lengths: np.ndarray, labels: np.ndarray | None, *, size: int = 32, group: bool = True
) -> MultiTaskSampler:
    return MultiTaskSampler(
        {"t": lengths},
        size,
        mixing=MixingConfig(),
        epochs=8,
        seed=1,
        group_by_length=group,
        labels=None if labels is None else {"t": labels},
    )


def variance(sampler: MultiTaskSampler, values: np.ndarray) -> float:
    """Variance of a batch's mean over eight epochs."""
    return float(
        np.mean(
            [
                np.var([values[b.indices].mean() for b in sampler.batches(epoch)])
                for epoch in range(8)
            ]
        )
    )


@pytest.mark.parametrize("size", [16, 32])
@pytest.mark.parametrize(("data", "most"), [(similarity, 0.1), (classes, 0.12)])
def test_labels_vary_as_in_random_batches_with_little_padding(data, most, size):
    lengths, labels = data()
    values = labels if data is similarity else (labels == 2).astype(float)
    chance = variance(make(lengths, labels, size=size, group=False), values)
    by_length = variance(make(lengths, None, size=size), values)
    sampler = make(lengths, labels, size=size)
    assert by_length > 1.25 * chance
    assert variance(sampler, values) < 1.2 * chance
    assert padding(sampler.batches(0), lengths) < most


def test_every_example_is_in_one_batch_and_batches_change():
    lengths, labels = similarity()
    sampler = make(lengths, labels)
    first, second = sampler.batches(0), sampler.batches(1)
    assert sorted(i for batch in first for i in batch.indices) == list(range(N))
    assert co_occurrence(first, second) < 0.15


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_without_correlation_batches_are_those_of_lengths_alone(dtype):
    lengths, labels = similarity()
    shuffled = np.random.default_rng(2).permutation(labels).astype(dtype)
    assert make(lengths, shuffled).batches(0) == make(lengths, None).batches(0)


def test_few_examples_have_one_stratum():
    lengths, labels = similarity()
    few = MIN_EXAMPLES - 1
    assert not label_strata(lengths[:few], labels[:few], batch_size=32).any()
    assert label_strata(lengths, labels, batch_size=32).max() == 2
    assert not label_strata(lengths, None, batch_size=32).any()
    assert not label_strata(np.full(N, 9), labels, batch_size=32).any()
    assert not label_strata(lengths, np.zeros(N, int), batch_size=32).any()


def test_every_stretch_of_the_order_has_the_share_of_each_stratum():
    lengths, labels = classes()
    strata = label_strata(lengths, labels, batch_size=32)
    order = length_keys(lengths, strata, np.random.default_rng(0)).argsort()
    assert np.corrcoef(lengths[order], np.arange(N))[0, 1] > 0.8
    shares = strata[order].reshape(50, -1).mean(1)
    assert np.abs(shares - strata.mean()).max() < 0.25 * strata.max()
