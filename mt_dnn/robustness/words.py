"""Perturbations of whole words: lower case, upper case, words left out."""

from __future__ import annotations

import random
import re

from mt_dnn.robustness.perturbation import perturbation

WORD = re.compile(r"\S+")


@perturbation(keeps_words=True)
def lower(text: str, rng: random.Random, *, rate: float = 1.0) -> str:
    """Write words in lower case."""
    return WORD.sub(lambda word: word[0].lower() if rng.random() < rate else word[0], text)


@perturbation(keeps_words=True)
def upper(text: str, rng: random.Random, *, rate: float = 1.0) -> str:
    """Write words in upper case."""
    return WORD.sub(lambda word: word[0].upper() if rng.random() < rate else word[0], text)


@perturbation(keeps_words=False)
def drop_words(text: str, rng: random.Random, *, rate: float = 0.1) -> str:
    """Leave out some words. The label may depend on one of them, so scores fall for that reason too."""
    kept = [word for word in WORD.findall(text) if rng.random() >= rate]
    return " ".join(kept)
