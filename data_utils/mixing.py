"""Mixing strategies: the number of batches of each task in an epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from data_utils.errors import UserError
from data_utils.registries import MIXINGS
from data_utils.registry import choices_hint

NO_RATES: dict[str, float] = {}
"""Default of ``rates``: every task once."""


class MixingSettings(Protocol):
    """Settings of a mixing strategy; users set them as ``mixing.{attribute}``."""

    @property
    def name(self) -> str: ...
    @property
    def ratio(self) -> float: ...
    @property
    def temperature(self) -> float: ...
    @property
    def cap(self) -> int: ...
    @property
    def main_last(self) -> bool: ...
    @property
    def options(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Supply:
    """The input of a mixing strategy.

    Both dicts have the same order of tasks. The first task is the main task.
    """

    batches: dict[str, int]
    """Task -> number of batches in one pass over its examples, at least 1."""
    examples: dict[str, int]
    """Task -> number of its training examples."""
    epoch: int
    """Number of the epoch, from 0."""
    epochs: int
    """Number of epochs that the run begins; ``train.max_steps`` may end it in the last one."""
    settings: MixingSettings
    rng: np.random.Generator
    """Generator of this epoch. Only ``ratio`` uses it."""


Mixing = Callable[..., dict[str, int]]
"""``mixing(supply, **options)``: number of batches of each task in an epoch, at least 0."""


def check_settings(settings: MixingSettings) -> None:
    """Check the name of the strategy and the range of each setting.

    Raises:
        UserError: the strategy is unknown (the message lists all), or a number is out of range.
    """
    MIXINGS.canonical(settings.name, "mixing.name")
    # "not >=" also rejects NaN.
    if not settings.ratio >= 0:
        raise UserError(f"mixing.ratio: {settings.ratio} is negative; choices: 0 or more.")
    if not settings.temperature > 0:
        raise UserError(
            f"mixing.temperature: {settings.temperature} is not positive; choices: above 0 "
            "(1 is in proportion to size, large is uniform)."
        )
    if not settings.cap >= 1:
        raise UserError(f"mixing.cap: {settings.cap} examples; choices: 1 or more.")


def check_mixing(settings: MixingSettings, tasks: Iterable[str]) -> None:
    """Try a strategy on made-up sizes, so that a wrong option is found before rows are tokenized.

    Args:
        tasks: names of the tasks that are trained.

    Raises:
        UserError: as :func:`mix`, for example because an option names another task.
    """
    batches = dict.fromkeys(tasks, 100)
    examples = dict.fromkeys(batches, 3200)
    mix(
        Supply(
            batches, examples, epoch=0, epochs=1, settings=settings, rng=np.random.default_rng(0)
        )
    )


def mix(supply: Supply) -> dict[str, int]:
    """Compute the number of batches of each task in this epoch.

    A task with more batches than ``supply.batches`` is passed over more than once. A task with fewer
    contributes a random subset.

    Raises:
        UserError: as :func:`check_settings`.
    """
    check_settings(supply.settings)
    counts = MIXINGS.get(supply.settings.name)(supply, **supply.settings.options)
    if set(counts) != set(supply.batches) or min(counts.values()) < 0 or not any(counts.values()):
        raise UserError(
            f"mixing.name: {supply.settings.name} returned {counts}; it must return a number of batches "
            f"for each of {', '.join(supply.batches)}, at least one of them above 0"
        )
    return counts


def proportional(supply: Supply) -> dict[str, int]:
    """Use every batch of every task once (MT-DNN, arXiv 1901.11504, algorithm 1)."""
    return dict(supply.batches)


def ratio(supply: Supply) -> dict[str, int]:
    """Use all M batches of the main task and min(ratio * M, all) batches of the other tasks.

    The batches of the other tasks are sampled without replacement, anew in each epoch. On average a
    task's share is proportional to its size; a small task may have no batch in an epoch. This is
    MT-DNN's multi-task fine-tuning. As in MT-DNN, ratio 0 uses all batches of all tasks.
    """
    if supply.settings.ratio == 0:
        return proportional(supply)
    main, *others = supply.batches
    available = [supply.batches[task] for task in others]
    limit = supply.settings.ratio * supply.batches[main]
    drawn = math.floor(round(min(limit, sum(available)), 9))
    counts = supply.rng.multivariate_hypergeometric(np.array(available, int), drawn)
    return {
        main: supply.batches[main],
        **{task: int(count) for task, count in zip(others, counts, strict=True)},
    }


def temperature(supply: Supply) -> dict[str, int]:
    """Sample with p ~ N^(1/T), as multilingual BERT and T5 (arXiv 1910.10683, section 3.5.2)."""
    return _by_size(supply, exponent=1 / supply.settings.temperature)


def sqrt(supply: Supply) -> dict[str, int]:
    """Sample with p ~ N^(1/2) (Stickland & Murray, PALs, arXiv 1902.02671)."""
    return _by_size(supply, exponent=0.5)


def annealed(supply: Supply) -> dict[str, int]:
    """Sample with p ~ N^alpha, where alpha falls over the epochs (PALs, arXiv 1902.02671).

    alpha = 1 - 0.8 (e-1)/(E-1) in epoch e = 1..E, and 1 if E = 1. E counts the epochs that the run
    begins: ``train.max_steps`` may leave fewer than ``train.epochs``. The mixture changes from
    proportional to nearly uniform, so that the model does not forget small tasks at the end.
    """
    progress = min(supply.epoch / max(supply.epochs - 1, 1), 1)
    return _by_size(supply, exponent=1 - 0.8 * progress)


def capped(supply: Supply) -> dict[str, int]:
    """Sample with p ~ min(N, K), where K is ``cap`` (T5, arXiv 1910.10683, section 3.5.2)."""
    sizes = np.array(list(supply.examples.values()))
    return _apportion(supply, np.log(np.minimum(sizes, supply.settings.cap)))


def uniform(supply: Supply) -> dict[str, int]:
    """Use the same number of batches of every task."""
    return _by_size(supply, exponent=0)


def rates(
    supply: Supply, *, rates: dict[str, float] = NO_RATES, cap: int | None = None
) -> dict[str, int]:
    """Pass over the examples of each task ``rates[task]`` times, as ANLI's code repeats its rounds.

    Args:
        rates: task -> passes over its examples in an epoch; 1 for a task that is not named. A fraction
            takes a random part, anew in each epoch. 0 takes none: another task must train its head.
        cap: greatest number of examples of one task in an epoch; None: no limit.

    Returns:
        The rate times the batches of one pass, rounded; at least 1 where the rate is above 0.

    Raises:
        UserError: a task is not trained, or a number is out of range.

    Example::

        mixing: {name: rates, options: {rates: {anli_r1: 10, anli_r2: 20, anli_r3: 10}, cap: 500_000}}
    """
    for task, rate in rates.items():
        where = f"mixing.options.rates: {task}"
        if task not in supply.batches:
            raise UserError(
                f"{where}: no such task is trained.{choices_hint(task, supply.batches)}"
            )
        if not 0 <= rate < math.inf:
            raise UserError(f"{where}: {rate}; choices: 0 or more.")
    if cap is not None and cap < 1:
        raise UserError(f"mixing.options.cap: {cap} examples; choices: 1 or more.")
    counts = {}
    for task, batches in supply.batches.items():
        passes = rates.get(task, 1.0)
        if cap is not None:
            passes = min(passes, cap / supply.examples[task])
        counts[task] = max(round(passes * batches), 1) if passes else 0
    if not any(counts.values()):
        raise UserError("mixing.options.rates: all are 0; choices: at least one above 0.")
    return counts


def _by_size(supply: Supply, exponent: float) -> dict[str, int]:
    return _apportion(supply, exponent * np.log(list(supply.examples.values())))


def _apportion(supply: Supply, log_weights: np.ndarray) -> dict[str, int]:
    """Distribute as many batches as ``proportional`` uses over the tasks, by weight.

    This is Hamilton's method: each task gets the integer part of its quota, and the remaining batches
    go to the largest remainders. Ties go to the earlier task. Every task gets at least one batch.
    Weights are given as logarithms so that a small temperature does not overflow.
    """
    total = sum(supply.batches.values())
    weights = np.exp(log_weights - log_weights.max())
    # Rounded so that quotas that are mathematically equal compare as equal.
    quotas = np.round(total * weights / weights.sum(), 9)
    counts = np.floor(quotas).astype(int)
    by_remainder = np.argsort(counts - quotas, kind="stable")
    counts[by_remainder[: total - counts.sum()]] += 1
    for starved in np.flatnonzero(counts == 0):
        counts[counts.argmax()] -= 1
        counts[starved] = 1
    return dict(zip(supply.batches, counts.tolist(), strict=True))
