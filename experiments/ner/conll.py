"""CoNLL columns: a token and its tags on each line, a blank line between sentences."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from data_utils.errors import UserError
from experiments.suite import numbered_lines

DOCUMENT = "-DOCSTART-"
"""Stands in a line of its own between documents; it is no token."""
OUTSIDE = "O"


class Sentence(NamedTuple):
    """One entry per token in each list."""

    tokens: list[str]
    tags: list[str]
    places: list[str]
    """``file:line``, for messages."""


def read_sentences(path: Path, *, column: int = -1) -> Iterator[Sentence]:
    """The sentences of a file; what ends the last one may be a blank line or the end of the file.

    Columns are parted by tabs where the line has one, else by spaces; the token is the first.

    Args:
        column: place of the tag, from 0; the last one unless said.

    Raises:
        UserError: a line without a tag, or without that column; not UTF-8.
    """
    sentence = Sentence([], [], [])
    for where, line in numbered_lines(path):
        cells = re.split("\t+" if "\t" in line.strip() else " +", line.strip())
        if cells[0] in ("", DOCUMENT):
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
        sentence.tokens.append(cells[0].strip())
        sentence.tags.append(cells[column].strip())
        sentence.places.append(where)
    if sentence.tokens:
        yield sentence


def to_bio(tags: Iterable[str]) -> list[str]:
    """IOB1 -> BIO, in which B- begins every entity; BIO and tags that mark no spans stay as they are.

    I-X that follows neither B-X nor I-X begins an entity, and becomes B-X. In IOB1, where B- only
    parts an entity from one of the same type before it, that is all there is to do. A BIO file with
    a stray I-X is read as the scorer conlleval reads it.
    """
    bio: list[str] = []
    before = OUTSIDE
    for tag in tags:
        begins = tag.startswith("I-") and before[2:] != tag[2:]
        bio.append(f"B-{tag[2:]}" if begins else tag)
        before = tag
    return bio
