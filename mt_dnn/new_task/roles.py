"""Guess which columns of a file are the texts, the label and the id."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from data_utils.errors import UserError
from data_utils.registry import choices_hint
from mt_dnn.new_task.decision import Decision
from mt_dnn.new_task.rows_file import RowsFile

LABELS = (
    *("label", "labels", "gold_label", "gold", "class", "category", "target", "tags", "ner_tags"),
    *("sentiment", "score", "rating", "stars", "similarity", "intent", "topic", "emotion"),
    *("stance", "opinion", "polarity", "is_duplicate", "quality", "relation", "judgment"),
    *("judgement", "y"),
)
"""Names of label columns, the most telling first."""
TEXTS = (
    *("text", "sentence", "premise", "hypothesis", "sentence1", "sentence2", "question"),
    *("question1", "question2", "text1", "text2", "review", "tweet", "title", "body", "content"),
    *("passage", "comment", "query", "reply", "abstract", "utterance", "document"),
    *("tokens", "words"),
)
"""Names of text columns."""
IDS = ("uid", "id", "idx", "index", "guid", "pairid", "pair_id", "row_id", "example_id")
WORDS_OF_A_TEXT = 2.0
"""Mean number of words from which a column without a known name is a text."""


@dataclass(frozen=True)
class Roles:
    """The columns of a file that a task reads, by their names in the file."""

    texts: tuple[str, ...]
    label: str
    uid: str | None
    why_texts: Decision
    why_label: Decision
    unused: tuple[str, ...]


def find_roles(file: RowsFile, *, label: str | None = None, texts: tuple[str, ...] = ()) -> Roles:
    """Guess the roles of a file's columns; ``label`` and ``texts`` are the user's own.

    Raises:
        UserError: a column of the user does not exist, or no column can be the label or the text.
    """
    for name in (*([label] if label else []), *texts):
        if name not in file.columns:
            raise UserError(
                f"{file.path}: there is no column {name!r}.{choices_hint(name, file.columns)}"
            )
    if len(texts) > 2:
        raise UserError(f"--text: {len(texts)} columns; a row has one or two texts")
    if len(set(texts)) < len(texts) or label in texts:
        twice = label if label in texts else texts[0]
        raise UserError(
            f"column {twice!r} is named twice by --text and --label; each column has one role"
        )
    if file.kind == "conll":
        sure = Decision(None, "the first column is the word, the last its tag")
        return Roles(("tokens",), "label", None, sure, sure, ())
    uid = next(
        (name for name in file.columns if _plain(name) in IDS and _is_unique(file, name)), None
    )
    rest = [name for name in file.columns if name not in (uid, label, *texts)]
    why_label = Decision(label, "given by --label") if label else _find_label(file, rest)
    own = str(why_label.value)
    others = [name for name in rest if name != own]
    why_texts = Decision(texts, "given by --text") if texts else _find_texts(file, others)
    chosen = tuple(why_texts.value)
    unused = tuple(name for name in others if name not in chosen)
    return Roles(chosen, own, uid, why_texts, why_label, unused)


def _find_label(file: RowsFile, names: list[str]) -> Decision:
    known = sorted((name for name in names if _plain(name) in LABELS), key=_rank)
    if known:
        return Decision(
            known[0],
            f"column {known[0]!r}" + (f"; {known[1]!r} may be one too" if known[1:] else ""),
            unsure=len(known) > 1,
        )
    counts = {name: len({str(value) for value in file.values(name)}) for name in names}
    few = {name: n for name, n in counts.items() if 2 <= n <= max(2, len(file.rows) // 4)}
    few = {name: n for name, n in few.items() if _words(file.values(name)) < WORDS_OF_A_TEXT}
    if not few:
        raise UserError(
            f"{file.path}: no column looks like a label; name it with --label. Columns: "
            f"{', '.join(file.columns)}"
        )
    best = min(few, key=lambda name: few[name])
    return Decision(
        best, f"column {best!r} has the fewest values, {few[best]}; no name says label", unsure=True
    )


def _find_texts(file: RowsFile, names: list[str]) -> Decision:
    known = [name for name in names if _plain(name) in TEXTS]
    long = [name for name in names if name not in known and _is_text(file.values(name))]
    found = known or long
    if not found:
        raise UserError(
            f"{file.path}: no column looks like a text; name one or two with --text. Columns: "
            f"{', '.join(file.columns)}"
        )
    more = [name for name in (*known, *long) if name not in found[:2]]
    shown = " and ".join(repr(name) for name in found[:2])
    reason = f"{'columns' if found[1:] else 'column'} {shown}"
    reason += f"; also texts: {', '.join(more)}" if more else ""
    only = len(found) == len(names)  # nothing else could be a text
    return Decision(tuple(found[:2]), reason, unsure=bool(more) or not (known or only))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _rank(name: str) -> int:
    return LABELS.index(_plain(name))


def _is_unique(file: RowsFile, name: str) -> bool:
    values = [str(value) for value in file.values(name)]
    return len(set(values)) == len(values) and all(value.strip() for value in values)


def _is_text(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values) and _words(values) >= WORDS_OF_A_TEXT


def _words(values: list[Any]) -> float:
    """Mean number of words of the values."""
    return sum(len(str(value).split()) for value in values) / len(values)
