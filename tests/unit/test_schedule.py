"""Schedules of the learning rate against their closed form."""

from __future__ import annotations

import math

import pytest

from mt_dnn.config.run import OptimConfig
from mt_dnn.training.schedule import learning_rate_factor


def factors(total: int = 100, **options) -> list[float]:
    return [learning_rate_factor(step, total, OptimConfig(**options)) for step in range(total)]


def test_warmup_rises_in_equal_steps_from_above_zero_to_the_peak():
    rise = factors(warmup=0.1)[:10]
    assert rise == pytest.approx([(k + 1) / 10 for k in range(10)])


def test_linear_falls_to_zero_at_the_end_of_the_run():
    assert factors(warmup=0.1)[10:] == pytest.approx([1 - k / 90 for k in range(90)])
    assert learning_rate_factor(100, 100, OptimConfig()) == 0.0


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_polynomial_falls_along_a_power(power):
    options = {"schedule_options": {"power": power}, "schedule": "polynomial"}
    expected = [(1 - step / 90) ** power for step in range(90)]
    assert factors(warmup=0.1, **options)[10:] == pytest.approx(expected)
    assert learning_rate_factor(100, 100, OptimConfig(**options)) == 0.0
    assert factors(schedule="polynomial") == factors(schedule="linear")


def test_cosine_falls_along_half_a_period():
    expected = [0.5 * (1 + math.cos(math.pi * k / 90)) for k in range(90)]
    assert factors(schedule="cosine", warmup=0.1)[10:] == pytest.approx(expected)
    assert learning_rate_factor(100, 100, OptimConfig(schedule="cosine")) == pytest.approx(0.0)


def test_constant_stays_at_the_peak():
    assert factors(schedule="constant", warmup=0.1)[9:] == [1.0] * 91


@pytest.mark.parametrize("name", ["linear", "cosine", "polynomial", "constant"])
def test_without_warmup_the_first_update_is_at_the_peak(name):
    assert factors(schedule=name, warmup=0.0)[0] == 1.0
    assert learning_rate_factor(0, 1, OptimConfig(schedule=name, warmup=0.0)) == 1.0


@pytest.mark.parametrize("name", ["linear", "cosine", "polynomial", "constant"])
def test_no_update_is_wasted(name):
    """Every update of the run has a positive rate, also when the run is short or all warmup."""
    for total in (1, 2, 3, 7):
        for warmup in (0.0, 0.1, 0.5, 1.0):
            assert all(f > 0 for f in factors(total, schedule=name, warmup=warmup))
