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
    assert health.line() is None


def test_rho_of_both_terms_and_the_tasks_first_measurement():
    health = SmartHealth()
    values = means(a__rho=2e-5, a__rho_proximal=0.5, b__rho=0.3)
    assert health.add(values, {"a": 5, "b": 2}) == {
        "rho": {"a": 2e-5, "b": 0.3},
        "rho_proximal": {"a": 0.5},
    }
    again = health.add(means(a__rho=4e-5, b__rho_proximal=0.25), {"a": 1, "b": 1})
    assert again == {"rho": {}, "rho_proximal": {"b": 0.25}}
    line = str(health.line())
    assert "rho: a 2e-05 first, 4e-05 last; b 0.3 first, 0.3 last" in line
    assert "rho_proximal: a 0.5 first, 0.5 last; b 0.25 first" in line


def test_a_dropped_batch_is_no_measurement_of_rho():
    health = SmartHealth()
    assert not health.add(means(a__rho=0.0, a__dropped=0.5), {"a": 2})["rho"]
    assert health.add(means(a__rho=0.0, a__dropped=0.0), {"a": 2})["rho"] == {"a": 0.0}


def test_it_goes_on_from_its_saved_state():
    whole, first, resumed = SmartHealth(), SmartHealth(), SmartHealth()
    one = means(a__gain=2.0, a__dropped=0.5, a__rho=0.1)
    two = means(a__gain=4.0, a__dropped=0.5, a__rho=0.2)
    for health in (whole, first):
        health.add(one, {"a": 2})
    resumed.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for health in (whole, resumed):
        health.add(two, {"a": 4})
    assert resumed.line() == whole.line()
    assert "3 batches dropped" in whole.line()
