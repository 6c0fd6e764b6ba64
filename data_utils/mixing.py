"""How much of each task goes into an epoch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from data_utils.errors import UserError
from data_utils.registry import Registry


class MixingSettings(Protocol):
    """What a strategy may be told; the user's spelling is ``mixing.{attribute}``."""

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


@dataclass(frozen=True)
class Supply:
    """What there is to mix, and in which epoch. The dicts share one order; its first task is the main one."""

    batches: dict[str, int]
    """Batches that one pass over each task makes, at least 1."""
    examples: dict[str, int]
    epoch: int
    """From 0."""
    epochs: int
    settings: MixingSettings
    rng: np.random.Generator
    """Of this epoch; only ``ratio`` draws from it."""


Mixing = Callable[[Supply], dict[str, int]]
MIXINGS: Registry[Mixing] = Registry("mixing strategy")


def check_settings(settings: MixingSettings) -> None:
    """Raises:
    UserError: an unknown strategy (lists them), or a number outside its range.
    """
    MIXINGS.canonical(settings.name, "mixing.name")
    # Written as "not >=" so that NaN is refused too.
    if not settings.ratio >= 0:
        raise UserError(f"mixing.ratio: {settings.ratio} is negative; choices: 0 or more.")
    if not settings.temperature > 0:
        raise UserError(
            f"mixing.temperature: {settings.temperature} is not positive; choices: above 0 "
            "(1 is in proportion to size, large is uniform)."
        )
    if not settings.cap >= 1:
        raise UserError(f"mixing.cap: {settings.cap} is no number of examples; choices: 1 or more.")


def mix(supply: Supply) -> dict[str, int]:
    """Task -> number of its batches in this epoch, by the strategy that the settings name.

    More than ``supply.batches`` means further passes over the task, fewer a subset of it.

    Raises:
        UserError: as :func:`check_settings`.
    """
    check_settings(supply.settings)
    return MIXINGS.get(supply.settings.name)(supply)


@MIXINGS.register("proportional")
def proportional(supply: Supply) -> dict[str, int]:
    """Every batch of every task once (MT-DNN, arXiv 1901.11504, algorithm 1)."""
    return dict(supply.batches)


@MIXINGS.register("ratio")
def ratio(supply: Supply) -> dict[str, int]:
    """All M batches of the main task, and min(ratio * M, all) batches of the others together.

    The latter are a sample without replacement from the others' batches, a new one each epoch, so
    that each task's share is proportional to its size on average and a small task may get none
    (MT-DNN's multi-task fine-tuning). As there, ratio 0 means that nothing is limited.
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


@MIXINGS.register("temperature")
def temperature(supply: Supply) -> dict[str, int]:
    """p ~ N^(1/T) (multilingual BERT's and T5's temperature; arXiv 1910.10683, section 3.5.2)."""
    return _by_size(supply, exponent=1 / supply.settings.temperature)


@MIXINGS.register("sqrt")
def sqrt(supply: Supply) -> dict[str, int]:
    """p ~ N^(1/2) (Stickland & Murray, PALs, arXiv 1902.02671)."""
    return _by_size(supply, exponent=0.5)


@MIXINGS.register("annealed")
def annealed(supply: Supply) -> dict[str, int]:
    """p ~ N^alpha, alpha = 1 - 0.8 (e-1)/(E-1) in epoch e = 1..E (PALs, arXiv 1902.02671); E = 1: 1.

    From in proportion to size to nearly uniform, so that small tasks are not forgotten at the end.
    """
    progress = min(supply.epoch / max(supply.epochs - 1, 1), 1)
    return _by_size(supply, exponent=1 - 0.8 * progress)


@MIXINGS.register("capped")
def capped(supply: Supply) -> dict[str, int]:
    """p ~ min(N, K): a task counts as at most K = cap examples (T5, arXiv 1910.10683, 3.5.2)."""
    sizes = np.array(list(supply.examples.values()))
    return _apportion(supply, np.log(np.minimum(sizes, supply.settings.cap)))


@MIXINGS.register("uniform")
def uniform(supply: Supply) -> dict[str, int]:
    """The same number of batches of every task, whatever its size."""
    return _by_size(supply, exponent=0)


def _by_size(supply: Supply, exponent: float) -> dict[str, int]:
    return _apportion(supply, exponent * np.log(list(supply.examples.values())))


def _apportion(supply: Supply, log_weights: np.ndarray) -> dict[str, int]:
    """As many batches as ``proportional`` has, shared out by weight; no task goes without.

    Hamilton's method: whole quotas first, what is left to the largest remainders, ties to the
    earlier task. Weights are logarithms so that a small temperature does not overflow.
    """
    total = sum(supply.batches.values())
    weights = np.exp(log_weights - log_weights.max())
    # Rounded, so that quotas that are equal on paper are equal here.
    quotas = np.round(total * weights / weights.sum(), 9)
    counts = np.floor(quotas).astype(int)
    by_remainder = np.argsort(counts - quotas, kind="stable")
    counts[by_remainder[: total - counts.sum()]] += 1
    for starved in np.flatnonzero(counts == 0):
        counts[counts.argmax()] -= 1
        counts[starved] = 1
    return dict(zip(supply.batches, counts.tolist(), strict=True))
