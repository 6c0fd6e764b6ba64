"""Read questions from SQuAD's JSON and convert them to MRC rows with offsets in the cleaned document."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from data_utils.canonical import clean_text
from data_utils.errors import UserError

SEPARATOR = ":::"
NO_ANSWER = SEPARATOR.join(("-1", "-1", "1", ""))


Articles = list[dict[str, Any]]
"""Articles as in the JSON file."""
QuestionRow = tuple[str, str, str, str]
"""uid, label, document, question."""


class Question(NamedTuple):
    """A question of the benchmark, with uncleaned texts."""

    where: str
    """Location for messages."""
    uid: str
    text: str
    document: str
    answers: list[tuple[str, int]]
    """Pairs of text and character offset in the document."""
    impossible: bool


class Located(NamedTuple):
    """An MRC row, and messages on answers whose offset was wrong."""

    row: QuestionRow | None
    """None if the question has answers, but none of them occurs in the document."""
    moved: list[str]
    """A line for each answer that is not at the offset in the file."""
    lost: list[str]
    """A line for each answer that was left out."""


def read_articles(path: Path) -> Articles:
    """Read the articles of a SQuAD JSON file, version 1.1 or 2.0.

    Raises:
        UserError: the file is not JSON, or has no articles.
    """
    try:
        articles = json.loads(path.read_text(encoding="utf-8"))["data"]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not SQuAD's JSON: {error!r}") from None
    if not isinstance(articles, list):
        raise UserError(f"{path}: not SQuAD's JSON: `data` is not a list")
    return articles


def questions(articles: Articles, path: Path) -> Iterator[Question]:
    """Yield the questions of articles.

    Args:
        path: file of the articles, for messages.

    Raises:
        UserError: an entry lacks a key.
    """
    try:
        for article in articles:
            for paragraph in article["paragraphs"]:
                for entry in paragraph["qas"]:
                    yield Question(
                        where=f"{path}: question {entry['id']}",
                        uid=str(entry["id"]),
                        text=entry["question"],
                        document=paragraph["context"],
                        answers=[(a["text"], a["answer_start"]) for a in entry.get("answers", ())],
                        impossible=entry.get("is_impossible", False),
                    )
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}: not SQuAD's JSON: {error!r}") from None


def has_labels(articles: Articles, path: Path) -> bool:
    """Whether any question has an answer or is marked as unanswerable; raises as :func:`questions`."""
    return any(
        question.impossible or any(text.strip() for text, _ in question.answers)
        for question in questions(articles, path)
    )


def split_articles(articles: Articles, *, share: int) -> tuple[Articles, Articles]:
    """Split articles into train and dev, with one article in ``share`` in dev.

    Articles that begin with the same document are in the same split.
    """
    groups: dict[str, Articles] = defaultdict(list)
    for article in articles:
        first = next((paragraph["context"] for paragraph in article["paragraphs"]), "")
        groups[first].append(article)
    parts: tuple[Articles, Articles] = ([], [])
    for number, group in enumerate(groups.values()):
        parts[number % share == 0].extend(group)
    return parts


def locate_answers(question: Question) -> Located:
    """Convert a question to a row.

    The label contains the offsets of the first answer, and every distinct answer text once.
    """
    document = clean_text(question.document)
    found: dict[str, int] = {}
    moved, lost = [], []
    for text, offset in question.answers:
        answer = clean_text(text)
        near = cleaned_offset(question.document, offset + len(text) - len(text.lstrip()))
        start = nearest(answer, document, near)
        where = f"{question.where}: answer {answer!r}"
        if start is None:
            lost.append(f"{where} is not in the document")
        elif SEPARATOR in answer:
            lost.append(f"{where} contains {SEPARATOR!r}, which separates answers")
        else:
            found.setdefault(answer, start)
            if start != near:
                moved.append(f"{where} is {start - near:+} characters away from its offset")
    if question.impossible:
        label = NO_ANSWER
    elif found:
        answer, start = next(iter(found.items()))
        label = SEPARATOR.join((str(start), str(start + len(answer)), "0", *found))
    else:
        return Located(None, moved, lost)
    return Located((question.uid, label, document, clean_text(question.text)), moved, lost)


def cleaned_offset(text: str, offset: int) -> int:
    """Offset in ``clean_text(text)`` of the character at ``offset``, which must not be white space."""
    return len(clean_text(text[:offset] + "x")) - 1


def nearest(part: str, text: str, place: int) -> int | None:
    """Start of the occurrence of ``part`` nearest to ``place``; occurrences may overlap. None if absent."""
    if not part or text.startswith(part, place):
        return place if part else None
    starts = (match.start() for match in re.finditer(f"(?={re.escape(part)})", text))
    return min(starts, key=lambda start: abs(start - place), default=None)
