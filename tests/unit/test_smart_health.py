"""The line at the end of a run that says whether SMART's perturbation did anything."""

from __future__ import annotations

import json

from mt_dnn.tracking.smart_health import SmartHealth


def means(**tags: float) -> dict[str, float]:
    return {f"smart/{name.replace('__', '/')}": value for name, value in tags.items()}


def test_first_and_last_gain_and_the_number_of_dropped_batches():
    health = SmartHealth()
    health.add(means(rte__gain=3.0, rte__dropped=0.25), {"rte": 8})
    health.add(means(rte__gain=50.0, rte__dropped=0.0), {"rte": 4})
    health.add(means(rte__gain=1.21, rte__dropped=1 / 3), {"rte": 3})
    assert health.line().endswith("rte 3x first, 1.21x last, 3 batches dropped")


def test_tasks_are_told_apart():
    health = SmartHealth()
    values = means(a__gain=2.0, a__dropped=0.0, b__dropped=1.0)
    health.add(values, {"a": 5, "b": 2})
    assert "a 2x first, 2x last, 0 batches dropped" in health.line()
    assert "b not measured, 2 batches dropped" in health.line()


def test_without_smart_there_is_nothing_to_tell():
    health = SmartHealth()
    health.add({"train/a/loss": 1.0}, {"a": 5})
    assert not health.dropped
    assert not health.gains


def test_it_goes_on_from_its_saved_state():
    whole, first, resumed = SmartHealth(), SmartHealth(), SmartHealth()
    one, two = means(a__gain=2.0, a__dropped=0.5), means(a__gain=4.0, a__dropped=0.5)
    for health in (whole, first):
        health.add(one, {"a": 2})
    resumed.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for health in (whole, resumed):
        health.add(two, {"a": 4})
    assert resumed.line() == whole.line()
    assert "3 batches dropped" in whole.line()
