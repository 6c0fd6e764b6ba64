"""Perturbations: English contractions, written out or contracted."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from mt_dnn.robustness.perturbation import perturbation

NOT = (
    *("is", "are", "was", "were", "do", "does", "did", "has", "have", "had"),
    *("could", "would", "should", "must", "need", "might"),
)
"""Words that contract with "not" by n't. Three others are irregular."""
IRREGULAR = {"ca": "cannot", "wo": "will not", "sha": "shall not"}
"""Beginning of a contraction with n't -> written out."""
SUBJECTS = ("i", "you", "he", "she", "it", "we", "they", "that", "there")
ENDINGS = {"m": "am", "re": "are", "ll": "will", "ve": "have"}
"""'s and 'd are left out, because they have two meanings: he's done, he's here."""
CONTRACTED = {"am": ("i",), "are": ("you", "we", "they"), "will": SUBJECTS}
"""Word -> the subjects after which it is contracted. "have" is left out, because it may be the main verb."""

# GLUE's texts may have a blank before the ending, as tokenizers of treebanks write it: does n't.
_SHORT_NOT = re.compile(rf"\b({'|'.join([*NOT, *IRREGULAR])})\s?n['’]t\b", re.IGNORECASE)
_SHORT_ENDING = re.compile(
    rf"\b({'|'.join(SUBJECTS)})\s?['’]({'|'.join(ENDINGS)})\b", re.IGNORECASE
)
_LONG_NOT = re.compile(
    rf"\b(?:({'|'.join(NOT)}) not|(can) ?not|(wi)ll not|(sha)ll not)\b", re.IGNORECASE
)
_LONG_ENDING = re.compile(rf"\b({'|'.join(SUBJECTS)}) ({'|'.join(CONTRACTED)})\b", re.IGNORECASE)


def _some(
    pattern: re.Pattern[str],
    change: Callable[[re.Match[str]], str],
    text: str,
    rng: random.Random,
    rate: float,
) -> str:
    return pattern.sub(lambda match: change(match) if rng.random() < rate else match[0], text)


@perturbation(keeps_words=False)
def expand_contractions(text: str, rng: random.Random, *, rate: float = 1.0) -> str:
    """Write English contractions out: don't becomes do not, we're becomes we are."""

    def written_out(match: re.Match[str]) -> str:
        begin = match[1]
        full = IRREGULAR.get(begin.lower())
        return f"{begin} not" if full is None else begin[0] + full[1:]

    text = _some(_SHORT_NOT, written_out, text, rng, rate)
    return _some(_SHORT_ENDING, lambda m: f"{m[1]} {ENDINGS[m[2].lower()]}", text, rng, rate)


@perturbation(keeps_words=False)
def contract(text: str, rng: random.Random, *, rate: float = 1.0) -> str:
    """Contract English words: do not becomes don't, we are becomes we're."""
    endings = {full: short for short, full in ENDINGS.items()}

    def with_not(match: re.Match[str]) -> str:
        begin = next(filter(None, match.groups()))
        return f"{begin}'t" if begin.lower() == "can" else f"{_stem(begin)}n't"

    def with_ending(match: re.Match[str]) -> str:
        full = match[2].lower()
        fits = match[1].lower() in CONTRACTED[full]
        return f"{match[1]}'{endings[full]}" if fits else match[0]

    text = _some(_LONG_NOT, with_not, text, rng, rate)
    return _some(_LONG_ENDING, with_ending, text, rng, rate)


def _stem(begin: str) -> str:
    """Return the beginning of a contraction: wo for wi(ll)."""
    return begin[0] + "o" if begin.lower() == "wi" else begin
