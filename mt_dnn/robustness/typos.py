"""Perturbations: one typing error in some of the words."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from mt_dnn.robustness.perturbation import perturbation

WORD = re.compile(r"[^\W\d_]{4,}")
"""Words with typing errors: at least four letters, whose first and last letter stay."""
KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
"""Rows of a QWERTY keyboard. Each row is shifted to the right of the one above it."""


def _neighbours() -> dict[str, str]:
    """Return letter -> letters on the keys beside it, above it and below it."""
    places = {
        key: (x + row / 2, row) for row, keys in enumerate(KEYS) for x, key in enumerate(keys)
    }
    return {
        one: "".join(
            other
            for other, (x, row) in places.items()
            if other != one and abs(x - places[one][0]) <= 1 and abs(row - places[one][1]) <= 1
        )
        for one in places
    }


NEIGHBOURS = _neighbours()


def _in_words(text: str, rng: random.Random, rate: float, change: Callable[[str], str]) -> str:
    """Apply ``change`` to each word with probability ``rate``."""
    return WORD.sub(lambda word: change(word[0]) if rng.random() < rate else word[0], text)


@perturbation(keeps_words=True)
def swap_letters(text: str, rng: random.Random, *, rate: float = 0.15) -> str:
    """Swap two neighbouring inner letters of some words of at least four letters."""

    def change(word: str) -> str:
        at = rng.randrange(1, len(word) - 2)
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]

    return _in_words(text, rng, rate, change)


@perturbation(keeps_words=True)
def drop_letter(text: str, rng: random.Random, *, rate: float = 0.15) -> str:
    """Leave out an inner letter of some words of at least four letters."""

    def change(word: str) -> str:
        at = rng.randrange(1, len(word) - 1)
        return word[:at] + word[at + 1 :]

    return _in_words(text, rng, rate, change)


@perturbation(keeps_words=True)
def repeat_letter(text: str, rng: random.Random, *, rate: float = 0.15) -> str:
    """Type an inner letter of some words of at least four letters twice."""

    def change(word: str) -> str:
        at = rng.randrange(1, len(word) - 1)
        return word[: at + 1] + word[at:]

    return _in_words(text, rng, rate, change)


@perturbation(keeps_words=True)
def neighbour_key(text: str, rng: random.Random, *, rate: float = 0.15) -> str:
    """Replace an inner letter of some words of at least four letters by that of a neighbouring key.

    The keyboard is QWERTY. Letters that it does not have stay.
    """

    def change(word: str) -> str:
        at = rng.randrange(1, len(word) - 1)
        near = NEIGHBOURS.get(word[at].lower(), "")
        new = rng.choice(near) if near else word[at]
        return word[:at] + (new.upper() if word[at].isupper() else new) + word[at + 1 :]

    return _in_words(text, rng, rate, change)
