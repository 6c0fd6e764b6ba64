"""How much of each task: totals, shares and limits of every strategy."""

from __future__ import annotations

import numpy as np
import pytest

from data_utils.errors import UserError
from data_utils.mixing import Supply, mix
from data_utils.registries import MIXINGS
from mt_dnn.config.run import MixingConfig

BATCHES = {"rte": 78, "mnli": 12272, "cola": 268, "wnli": 20}


def counts(
    batches: dict[str, int] = BATCHES,
    *,
    examples: dict[str, int] | None = None,
    epoch: int = 0,
    epochs: int = 5,
    seed: int = 0,
    **settings,
) -> dict[str, int]:
    examples = examples or {task: 32 * count for task, count in batches.items()}
    rng = np.random.default_rng([seed, epoch])
    return mix(Supply(batches, examples, epoch, epochs, MixingConfig(**settings), rng))


SHARING = sorted({"temperature", "sqrt", "annealed", "capped", "uniform"})


def test_every_strategy_has_a_first_line():
    assert all(MIXINGS.get(name).__doc__ for name in MIXINGS.names())


def test_proportional_is_every_batch_once():
    assert counts() == BATCHES


@pytest.mark.parametrize("name", SHARING)
def test_shares_keep_the_total_the_order_and_every_task(name):
    for epoch in range(5):
        got = counts(name=name, epoch=epoch, cap=500)
        assert list(got) == list(BATCHES)
        assert sum(got.values()) == sum(BATCHES.values())
        assert min(got.values()) >= 1


@pytest.mark.parametrize("name", SHARING)
def test_shares_are_deterministic(name):
    assert counts(name=name, seed=1) == counts(name=name, seed=2)


def test_a_tiny_task_among_huge_ones_gets_one_batch():
    got = counts(
        {"big": 500, "huge": 500, "tiny": 1},
        examples={"big": 10**9, "huge": 10**9, "tiny": 1},
        name="temperature",
        temperature=1,
    )
    assert got == {"big": 500, "huge": 500, "tiny": 1}


def test_every_task_gets_a_batch_even_where_the_total_is_one_each():
    batches = {"a": 1, "b": 1, "c": 1}
    got = counts(batches, examples={"a": 32, "b": 1, "c": 1}, name="temperature", temperature=0.01)
    assert got == batches


def test_largest_remainders_by_hand():
    # Quotas of 10: 10 * (2, 3, 4) / 9 = 2.22, 3.33, 4.44; the one batch left goes to the last.
    sizes = {"a": 2, "b": 3, "c": 4}
    got = counts({"a": 3, "b": 3, "c": 4}, examples=sizes, name="temperature", temperature=1)
    assert got == {"a": 2, "b": 3, "c": 5}


def test_equal_remainders_go_to_the_earlier_task():
    assert counts({"a": 4, "b": 2, "c": 2}, name="uniform") == {"a": 3, "b": 3, "c": 2}


@pytest.mark.parametrize(("name", "alpha"), [("temperature", 1 / 4), ("sqrt", 1 / 2)])
def test_exponent_of_the_size(name, alpha):
    got = counts(name=name, temperature=4)
    weights = np.array(list(BATCHES.values())) ** alpha
    expected = sum(BATCHES.values()) * weights / weights.sum()
    np.testing.assert_allclose(list(got.values()), expected, atol=1)


def test_temperature_one_is_proportional_and_a_high_one_uniform():
    assert counts(name="temperature", temperature=1) == counts()
    assert counts(name="temperature", temperature=float("inf")) == counts(name="uniform")


def test_a_temperature_near_zero_does_not_overflow():
    got = counts(name="temperature", temperature=1e-3)
    assert got["mnli"] == sum(BATCHES.values()) - 3


def test_annealing_goes_from_proportional_to_the_power_of_a_fifth():
    assert counts(name="annealed", epoch=0, epochs=5) == counts()
    assert counts(name="annealed", epoch=4, epochs=5) == counts(name="temperature", temperature=5)
    middle = counts(name="annealed", epoch=2, epochs=5)
    assert middle == counts(name="temperature", temperature=1 / 0.6)


def test_annealing_over_one_epoch_is_proportional_and_stays_put_behind_the_last():
    assert counts(name="annealed", epochs=1) == counts()
    assert counts(name="annealed", epoch=9, epochs=5) == counts(name="annealed", epoch=4, epochs=5)


def test_capped_counts_examples_and_not_batches():
    # 2496 examples of rte, 640 of wnli; the cap cuts mnli and cola to 1000.
    got = counts(name="capped", cap=1000)
    total = sum(BATCHES.values())
    np.testing.assert_allclose(
        list(got.values()), total * np.array([1000, 1000, 1000, 640]) / 3640, atol=1
    )


def test_a_cap_above_every_task_is_proportional():
    assert counts(name="capped", cap=10**7) == counts()


@pytest.mark.parametrize(("ratio", "drawn"), [(0.5, 39), (2, 156), (0.25, 19), (1e6, 12560)])
def test_ratio_keeps_the_main_task_and_limits_the_others_together(ratio, drawn):
    got = counts(name="ratio", ratio=ratio)
    assert got["rte"] == BATCHES["rte"]
    assert sum(got.values()) - got["rte"] == drawn
    assert all(got[task] <= BATCHES[task] for task in BATCHES)


def test_ratio_draws_anew_each_epoch_in_proportion_to_size():
    batches = {"main": 10, "large": 60, "small": 20}
    draws = [counts(batches, name="ratio", ratio=4, epoch=epoch) for epoch in range(400)]
    large = np.array([draw["large"] for draw in draws])
    assert all(draw["large"] + draw["small"] == 40 for draw in draws)
    assert large.std() > 0
    # Hypergeometric: mean 30, deviation 2.05, so the mean of 400 is within 0.5 of it.
    assert abs(large.mean() - 30) < 0.5


def test_ratio_counts_are_not_lost_to_binary_fractions():
    # 0.29 * 100 is 28.999999999999996.
    got = counts({"main": 100, "other": 100}, name="ratio", ratio=0.29)
    assert got == {"main": 100, "other": 29}


def test_ratio_zero_is_mt_dnns_all_batches():
    assert counts(name="ratio", ratio=0) == BATCHES


def rated(batches: dict[str, int] = BATCHES, *, examples=None, **options) -> dict[str, int]:
    return counts(batches, examples=examples, name="rates", options=options)


def test_rates_are_passes_over_the_examples_of_a_task():
    got = rated(rates={"rte": 10.0, "cola": 0.25, "wnli": 0.001})
    assert got == {"rte": 780, "mnli": 12272, "cola": 67, "wnli": 1}
    assert rated() == counts(name="proportional")
    # 0.29 * 100 is 28.999999999999996.
    assert rated({"a": 100}, rates={"a": 0.29}) == {"a": 29}


def test_a_rate_of_zero_leaves_a_task_to_evaluation():
    assert rated(rates={"mnli": 0.0}) == BATCHES | {"mnli": 0}
    with pytest.raises(UserError, match=r"mixing.options.rates: all are 0"):
        rated(dict.fromkeys("ab", 5), rates={"a": 0, "b": 0})


def test_the_cap_of_rates_limits_the_examples_of_an_epoch():
    # 32 examples a batch: 1000 examples are 31.25 batches; ten passes over wnli are 6400 examples.
    got = rated(rates={"wnli": 10.0}, cap=1000)
    assert got == {"rte": 31, "mnli": 31, "cola": 31, "wnli": 31}
    assert rated(rates={"wnli": 10.0}, cap=10**7) == BATCHES | {"wnli": 200}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rates": {"colla": 2.0}}, r"rates: colla: no such task is trained. Did you mean 'cola'"),
        ({"rates": {"cola": -1.0}}, r"rates: cola: -1.0; choices: 0 or more"),
        ({"rates": {"cola": float("nan")}}, r"rates: cola: nan; choices"),
        ({"rates": {"cola": float("inf")}}, r"rates: cola: inf; choices"),
        ({"cap": 0}, r"mixing.options.cap: 0 examples; choices: 1 or more"),
    ],
)
def test_rates_out_of_range_and_of_other_tasks_are_named(options, message):
    with pytest.raises(UserError, match=message):
        rated(**options)


@pytest.mark.parametrize("name", MIXINGS.names())
def test_one_task_alone_is_all_of_it(name):
    assert counts({"rte": 78}, name=name) == {"rte": 78}


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"ratio": -1.0}, "mixing.ratio"),
        ({"ratio": float("nan")}, "mixing.ratio"),
        ({"temperature": 0.0}, "mixing.temperature"),
        ({"cap": 0}, "mixing.cap"),
    ],
)
def test_a_setting_out_of_range_is_named_as_the_user_writes_it(settings, field):
    with pytest.raises(UserError, match=rf"{field}: .*choices"):
        counts(**settings)


def test_an_unknown_strategy_lists_the_choices():
    with pytest.raises(UserError, match=r"mixing.name.*Did you mean 'uniform'.*annealed, capped"):
        counts(name="unifrom")
