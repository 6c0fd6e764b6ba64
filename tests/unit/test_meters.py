"""Means over a log interval, read at once, and carried over a resume."""

from __future__ import annotations

import json

import pytest
import torch

from mt_dnn.training.meters import Meters
from tests.support.batches import make_batch

CPU = torch.device("cpu")


def fill(meters: Meters) -> None:
    for value in (0.1, 0.2, 0.6):
        meters.add("loss", torch.tensor(value, requires_grad=True))
    meters.add("other", torch.tensor(2.0))
    meters.count(make_batch([4, 1], task="a"))
    meters.count(make_batch([2], task="a"))
    meters.count(make_batch([3, 2], task="b"))


def test_means_padding_and_shares():
    meters = Meters(CPU)
    fill(meters)
    assert (meters.examples, meters.tokens) == (5, 12)
    assert meters.read() == pytest.approx(
        {
            "loss": 0.3,
            "other": 2.0,
            "train/padding": 4 / 16,
            "train/share/a": 2 / 3,
            "train/share/b": 1 / 3,
        }
    )


def test_reading_starts_anew():
    meters = Meters(CPU)
    fill(meters)
    meters.read()
    assert meters.read() == {}
    meters.add("loss", torch.tensor(5.0))
    assert meters.read() == {"loss": 5.0}


def test_a_value_added_is_not_changed_by_later_ones():
    meters, value = Meters(CPU), torch.tensor(1.0)
    meters.add("loss", value)
    meters.add("loss", torch.tensor(2.0))
    assert value == 1.0
    value.fill_(100.0)
    assert meters.read() == {"loss": 1.5}


def test_half_precision_is_summed_in_float32():
    meters = Meters(CPU)
    for _ in range(1000):
        meters.add("loss", torch.tensor(1.0, dtype=torch.bfloat16))
    assert meters.read() == {"loss": 1.0}


def test_a_window_goes_on_where_it_was_saved_to_the_last_bit():
    whole, first = Meters(CPU), Meters(CPU)
    fill(whole)
    fill(first)
    resumed = Meters(CPU)
    resumed.load_state_dict(json.loads(json.dumps(first.state_dict())))
    fill(whole)
    fill(resumed)
    assert resumed.read() == whole.read()


def test_values_weigh_by_their_share():
    meters = Meters(CPU)
    meters.add("loss", torch.tensor(1.0), 0.2)
    meters.add("loss", torch.tensor(2.0), torch.tensor(1.8))
    # Measured on one of the two batches: its mean is its value.
    meters.add("gain", torch.tensor(7.0), 0.2)
    assert meters.read() == pytest.approx({"loss": 1.9, "gain": 7.0})


def test_filler_counts_no_examples():
    meters = Meters(CPU)
    meters.count(make_batch([4, 1], task="a", is_filler=True))
    assert (meters.batches["a"], meters.examples, meters.tokens, meters.cells) == (1, 0, 0, 0)
