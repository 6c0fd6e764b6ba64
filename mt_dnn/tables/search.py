"""A row's search over settings: a grid of values, all of it or a random part. Does not import torch."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from data_utils.errors import UserError
from mt_dnn.tables.entries import OWN, mapping, settings_of
from mt_dnn.tables.settings import Settings

OPTIONS = ("trials", "sample")
"""Keys of a search that are not settings."""
FIXED = (*OWN, "data.tasks", "data.data_dir", "plugins")
"""Settings that a search may not change: they say what is run, and on which data."""
LARGEST = 100_000
"""Largest number of combinations of a grid, also where only some are run."""


@dataclass(frozen=True)
class Search:
    """The combinations of settings that a row tries."""

    grid: dict[str, tuple[Any, ...]]
    """Setting -> its values."""
    trials: int | None = None
    """Number of combinations to run; None: all of them."""
    sample: int = 0
    """Seed of the random part."""

    @property
    def size(self) -> int:
        """Number of combinations of the whole grid."""
        return math.prod(len(values) for values in self.grid.values())

    @cached_property
    def points(self) -> list[Settings]:
        """The combinations to run, in the order of the grid: the last setting varies fastest.

        A random part is the combinations with the smallest SHA-256 of ``sample`` and their settings. So it
        depends on nothing else, and more ``trials`` contain the fewer ones.
        """
        combinations = itertools.product(*self.grid.values())
        points = [dict(zip(self.grid, values, strict=True)) for values in combinations]
        if self.trials is None:
            return points
        kept = sorted(range(len(points)), key=lambda index: self._rank(points[index]))
        return [points[index] for index in sorted(kept[: self.trials])]

    def _rank(self, point: Settings) -> str:
        text = json.dumps({key: _plain(value) for key, value in point.items()}, sort_keys=True)
        return hashlib.sha256(f"{self.sample} {text}".encode()).hexdigest()


def _plain(value: Any) -> Any:
    """A number for a text that is one: YAML reads 1e-4 as a text, and 1.0e-4 as a number."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return value
    try:
        return float(value)
    except ValueError:
        return value


def search_of(entry: Any, where: str) -> Search | None:
    """Read the ``search`` of a row; None without one.

    Args:
        entry: settings with a list of values each, dotted or nested, and ``trials`` and ``sample``.

    Raises:
        UserError: a setting is unknown or has no list of different values, or there are more trials than
            combinations.
    """
    if entry is None:
        return None
    entry = mapping(entry, where)
    values = settings_of(
        {key: value for key, value in entry.items() if key not in OPTIONS}, where, refuse=OWN
    )
    if not values:
        raise UserError(f"{where}: name settings with their values, such as optim.lr: [1e-5, 5e-5]")
    for name, choices in values.items():
        if name in FIXED:
            raise UserError(f"{where}: {name} cannot be searched; write a row for each value")
        if not isinstance(choices, list) or not choices:
            raise UserError(f"{where}: {name}: {choices!r} is not a list of values")
        seen = [json.dumps(_plain(choice), sort_keys=True) for choice in choices]
        if len(set(seen)) < len(seen):
            raise UserError(f"{where}: {name}: {choices} contains a value twice")
    search = Search({name: tuple(choices) for name, choices in values.items()})
    if search.size > LARGEST:
        raise UserError(f"{where}: {search.size} combinations; at most {LARGEST} are possible")
    trials, sample = entry.get("trials"), entry.get("sample", 0)
    if trials is not None and (type(trials) is not int or not 1 <= trials <= search.size):
        raise UserError(
            f"{where}: trials: {trials!r} is not a whole number from 1 to {search.size}, the number of "
            f"combinations; without trials, all of them are run"
        )
    if type(sample) is not int:
        raise UserError(f"{where}: sample: {sample!r} is not a whole number")
    return Search(search.grid, trials, sample)


def in_words(settings: Settings) -> str:
    """The settings of a combination as text: ``optim.lr 5e-05, batch.size 16``."""
    return ", ".join(f"{name} {value_in_words(value)}" for name, value in settings.items())


def value_in_words(value: Any) -> str:
    """A value as text; numbers are short."""
    plain = _plain(value)
    return f"{plain:g}" if isinstance(plain, float) else str(value)
