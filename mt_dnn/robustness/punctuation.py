"""Perturbations of punctuation marks."""

from __future__ import annotations

import random
import re

from mt_dnn.robustness.perturbation import perturbation

MARKS = ",.;:!?"
_MARK = re.compile(r"""[!"(),.:;?\[\]{}…“”«»](?!\d)""")  # not the point or comma inside of a number
_BLANKS = re.compile(r"[ \t]{2,}")
_WORD_END = re.compile(r"(?<=\w)(?=\s|$)")


@perturbation(keeps_words=False)
def remove_punctuation(text: str, rng: random.Random, *, rate: float = 1.0) -> str:
    """Remove punctuation marks; apostrophes, hyphens and marks inside of numbers stay."""
    less = _MARK.sub(lambda mark: "" if rng.random() < rate else mark[0], text)
    return text if less == text else _BLANKS.sub(" ", less).strip()


@perturbation(keeps_words=False)
def add_punctuation(text: str, rng: random.Random, *, rate: float = 0.1) -> str:
    """Add a random mark (, . ; : ! ?) after some words."""
    return _WORD_END.sub(lambda _: rng.choice(MARKS) if rng.random() < rate else "", text)
