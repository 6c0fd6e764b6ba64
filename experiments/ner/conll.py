"""Read CoNLL files: a token and its tags on each line, a blank line between sentences."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from data_utils.errors import UserError
from experiments.suite import numbered_lines

DOCUMENT = "-DOCSTART-"
"""Marks the start of a document, on a separate line. It is not a token."""
OUTSIDE = "O"


class Sentence(NamedTuple):
    """A sentence, with one entry per token in each list."""

    tokens: list[str]
    tags: list[str]
    places: list[str]
    """``file:line`` of each token, for messages."""


def read_sentences(path: Path, *, column: int = -1) -> Iterator[Sentence]:
    """Read the sentences of a file. A blank line or the end of the file ends a sentence.

    Columns are separated by tabs if the line contains one, else by spaces. The token is the first column;
    it may be any other blank character, such as a no-break space.

    Args:
        column: index of the tag column, from 0; defaults to the last column.

    Raises:
        UserError: a line has no tag or lacks the column, or the file is not UTF-8.
    """
    sentence = Sentence([], [], [])
    for where, line in numbered_lines(path):
        text = line.strip(" \t\r")
        cells = re.split("\t+" if "\t" in text else " +", text)
        if not text.strip() or cells[0] == DOCUMENT:
            if sentence.tokens:
                yield sentence
                sentence = Sentence([], [], [])
            continue
        if len(cells) < max(2, column + 1):
            wanted = "its tag" if column < 0 else f"{column} or more tags"
            raise UserError(
                f"{where}: {len(cells)} column{'s' * (len(cells) > 1)} in {line!r}; expected a token "
                f"and {wanted}, separated by a tab or spaces"
            )
        sentence.tokens.append(cells[0].strip(" "))
        sentence.tags.append(cells[column].strip())
        sentence.places.append(where)
    if sentence.tokens:
        yield sentence


def to_bio(tags: Iterable[str]) -> list[str]:
    """Convert IOB1 tags to BIO, in which every entity begins with B-. Other tags are unchanged.

    An I-X that follows neither B-X nor I-X begins an entity and becomes B-X. IOB1 needs no other change:
    it uses B- only to separate an entity from a preceding one of the same type. A stray I-X in a BIO file
    is treated as in the scorer conlleval.
    """
    bio: list[str] = []
    before = OUTSIDE
    for tag in tags:
        begins = tag.startswith("I-") and before[2:] != tag[2:]
        bio.append(f"B-{tag[2:]}" if begins else tag)
        before = tag
    return bio
