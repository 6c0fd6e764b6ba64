"""Mark the spans of WNLI: the pronoun in sentence1, and the candidate in sentence2 that replaces it.

A WNLI pair comes from a Winograd schema: sentence2 is a clause of sentence1 with a pronoun replaced by
one of the candidates. GLUE does not state which pronoun, nor where the candidate is. Both are recovered
by aligning sentence2 with sentence1.
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
    """A word in lower case, and its character range in the text: text[start:end]."""

    text: str
    start: int
    end: int


class Overlay(NamedTuple):
    """Alignment of sentence2 with sentence1, under the assumption that one pronoun was replaced."""

    context: int
    """Number of words around the pronoun that both sentences share."""
    pronoun: int
    """Index of the pronoun's word in sentence1."""
    first: int
    """Index of the candidate's first word in sentence2. The words before it precede the pronoun."""
    end: int
    """Index after the candidate's last word in sentence2. The words from here on follow the pronoun."""


NOTHING = Overlay(context=0, pronoun=-1, first=0, end=0)


def mark_spans(sentence1: str, sentence2: str) -> tuple[str, str] | None:
    """Mark the pronoun in sentence1 (``[it]``) and the candidate in sentence2 (``_the pot_``).

    Returns None if they cannot be determined: no pronoun shares context with sentence2, two pronouns
    share equally much, or the rest of sentence2 is not a phrase of sentence1 (ignoring its article and
    a possessive ``'s``).
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
    """Mark the spans in rows (uid, label, sentence1, sentence2) if they can be determined.

    Other rows are unchanged. The number of marked rows is printed after the last row.
    """
    total = marked = 0
    for uid, label, *sentences in rows:
        spans = mark_spans(*sentences)
        total, marked = total + 1, marked + (spans is not None)
        yield uid, label, *(spans or sentences)
    print(f"{name}: spans marked in {marked} of {total} pairs; the others are unchanged")


def _words(text: str) -> list[Word]:
    return [Word(match.group().lower(), *match.span()) for match in WORD.finditer(text)]


def _overlays(words1: list[Word], words2: list[Word]) -> Iterator[Overlay]:
    """Align sentence2 for each pronoun of sentence1.

    An alignment matches the longest run of words after the pronoun that ends sentence2, and the longest
    run before it that begins sentence2. At least one word between them is left for the candidate.
    """
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
