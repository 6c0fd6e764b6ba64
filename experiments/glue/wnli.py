"""WNLI with its spans marked: the pronoun of sentence1 that sentence2 fills in, and what it fills in.

A WNLI pair comes from a Winograd schema: sentence2 is a clause of sentence1 with a pronoun replaced by
one of the candidates. GLUE says neither which pronoun nor where the candidate is; both are found again
by laying sentence2 over sentence1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from experiments.suite import Cells

PRONOUNS = {
    *("he", "him", "his", "himself"),
    *("she", "her", "hers", "herself"),
    *("it", "its", "itself"),
    *("they", "them", "their", "theirs", "themselves"),
}
ARTICLES = {"a", "an", "the"}
WORD = re.compile(r"\w+(?:['’]\w+)*['’]?")
POSSESSIVE = re.compile(r"['’]s?$")


class Word(NamedTuple):
    """A word in lower case, and its characters in the text: text[start:end]."""

    text: str
    start: int
    end: int


class Overlay(NamedTuple):
    """How sentence2 lies over sentence1 with one of its pronouns taken for the replaced one."""

    context: int
    """Words around the pronoun that both sentences have."""
    pronoun: int
    """Number of the pronoun's word in sentence1."""
    first: int
    """Of the candidate's words in sentence2; before it stands what precedes the pronoun."""
    end: int
    """After the candidate's last word in sentence2; from here on stands what follows the pronoun."""


NOTHING = Overlay(context=0, pronoun=-1, first=0, end=0)


def mark_spans(sentence1: str, sentence2: str) -> tuple[str, str] | None:
    """``it`` -> ``[it]`` in sentence1 and ``the pot`` -> ``_the pot_`` in sentence2.

    None where the two cannot be told: no pronoun shares context with sentence2, two share equally much,
    or what remains of sentence2 is not a phrase of sentence1 (its article and a possessive's ``'s`` aside).
    """
    words1, words2 = _words(sentence1), _words(sentence2)
    best, second = sorted([*_overlays(words1, words2), NOTHING, NOTHING], reverse=True)[:2]
    candidate = words2[best.first : best.end]
    if best.context == second.context or not _stands_in(candidate, words1):
        return None
    pronoun = words1[best.pronoun]
    return (
        _mark(sentence1, pronoun.start, pronoun.end, "[]"),
        _mark(sentence2, candidate[0].start, candidate[-1].end, "__"),
    )


def mark_rows(rows: Iterable[Cells], name: str) -> Iterator[Cells]:
    """Rows (uid, label, sentence1, sentence2) with their spans marked where they can be told.

    The others stay as they are; after the last row, prints how many were marked.
    """
    total = marked = 0
    for uid, label, *sentences in rows:
        spans = mark_spans(*sentences)
        total, marked = total + 1, marked + (spans is not None)
        yield uid, label, *(spans or sentences)
    print(f"{name}: spans marked in {marked} of {total} pairs, the others stay as they are")


def _words(text: str) -> list[Word]:
    return [Word(match.group().lower(), *match.span()) for match in WORD.finditer(text)]


def _overlays(words1: list[Word], words2: list[Word]) -> Iterator[Overlay]:
    """One for each pronoun: the longest run of words after it that ends sentence2, the longest run
    before it that begins sentence2, and at least one word between them for the candidate."""
    one, two = [word.text for word in words1], [word.text for word in words2]
    for place, word in enumerate(one):
        if word not in PRONOUNS:
            continue
        after, before = one[place + 1 :], one[:place]
        right = max(
            (n for n in range(min(len(two), len(after) + 1)) if two[len(two) - n :] == after[:n]),
            default=0,
        )
        room = len(two) - right
        left = max(
            (n for n in range(min(room, place + 1)) if two[:n] == before[place - n :]), default=0
        )
        yield Overlay(left + right, place, left, room)


def _stands_in(candidate: list[Word], words: list[Word]) -> bool:
    phrase = [POSSESSIVE.sub("", word.text) for word in candidate]
    phrase = phrase[1:] if phrase and phrase[0] in ARTICLES else phrase
    text = [POSSESSIVE.sub("", word.text) for word in words]
    places = range(len(text) - len(phrase) + 1)
    return bool(phrase) and any(text[i : i + len(phrase)] == phrase for i in places)


def _mark(text: str, start: int, end: int, marks: str) -> str:
    return f"{text[:start]}{marks[0]}{text[start:end]}{marks[1]}{text[end:]}"
