"""Convert SuperGLUE's records to canonical rows, with one function per kind of task."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from zlib import crc32

from data_utils.canonical import clean_text
from data_utils.errors import UserError
from data_utils.formats import DroppedRow, Row
from data_utils.registry import choices_hint
from data_utils.task_def import TaskDef
from experiments.suite import Cells, checked_label

COPA_QUESTIONS = {
    "cause": "What was the cause of this?",
    "effect": "What happened as a result?",
}
COPA_LABELS = {"0": "1,0", "1": "0,1", "-1": "", "": ""}
"""Index of the correct alternative -> label (1 or 0) of each alternative."""
PLACEHOLDER = "@placeholder"
HIGHLIGHT = "@highlight"
"""Separates a ReCoRD text from the bullet points of its summary."""
GENDERED = re.compile(r"\b(he|she|him|his|hers?|himself|herself)\b")
"""Words in which the two texts of a pair of AX-g differ."""

Shape = Callable[[Row, TaskDef], Cells]


def label_word(row: Row, task: TaskDef) -> str:
    """Label word for a record's label: true or false in JSON, an id (-1: no label), or the word itself.

    Raises:
        UserError: the label is none of these.
    """
    text = row.text("label").strip().lower()
    if text in ("", "-1"):
        return ""
    if text.isdigit() and int(text) < len(task.labels):
        return task.labels[int(text)]
    return checked_label(text, task, row.where)


def pair(premise: str, hypothesis: str) -> Shape:
    """Conversion of records with two texts and a label."""

    def cells(row: Row, task: TaskDef) -> Cells:
        return row.text("uid"), label_word(row, task), row.text(premise), row.text(hypothesis)

    return cells


def copa(row: Row, task: TaskDef) -> Cells:
    """COPA: the premise followed by the question in words; the alternatives are the candidates."""
    asked, label = row.text("question"), row.text("label").strip()
    if asked not in COPA_QUESTIONS:
        raise UserError(f"{row.where}: question {asked!r}.{choices_hint(asked, COPA_QUESTIONS)}")
    if label not in COPA_LABELS:
        raise UserError(f"{row.where}: label {label!r} is neither 0 nor 1")
    premise = f"{row.text('premise')} {COPA_QUESTIONS[asked]}"
    alternatives = row.text("choice1"), row.text("choice2")
    return row.text("uid"), "0,1", COPA_LABELS[label], premise, *alternatives


def wic(row: Row, task: TaskDef) -> Cells:
    """WiC: ``word: first sentence``, and the second sentence."""
    word = row.text("word").removeprefix("word: ")  # a prefix in the TSV tables
    premise = f"{word}: {row.text('sentence1')}"
    return row.text("uid"), label_word(row, task), premise, row.text("sentence2")


def multirc(row: Row, task: TaskDef) -> Cells:
    """MultiRC: the paragraph, and question with answer. The uid identifies the answers of a question."""
    uid = _uid(row, ("paragraph", "question", "answer"))
    answered = f"{row.text('question')} {row.text('answer')}"
    return uid, label_word(row, task), row.text("paragraph"), answered


def record(row: Row, task: TaskDef) -> Cells:
    """ReCoRD: the passage, and the query with the placeholder replaced by each entity of the passage.

    Raises:
        DroppedRow: the record has answers, but none of them is an entity of the passage.
    """
    query = row.text("query")
    if PLACEHOLDER not in query:
        raise UserError(f"{row.where}: query without {PLACEHOLDER}: {query[:60]!r}")
    entities, answers = _texts(row.values["entities"]), _texts(row.values["answers"])
    labels = [int(entity in answers) for entity in entities]
    if answers and not any(labels):
        raise DroppedRow("no entity of the passage is an answer")
    return (
        _uid(row, ("passage", "query")),
        _literal(entities),
        _literal(answers),
        _literal(labels) if answers else "",
        " ".join(row.text("passage").replace(HIGHLIGHT, " ").split()),
        *(query.replace(PLACEHOLDER, entity) for entity in entities),
    )


def wsc(row: Row, task: TaskDef) -> Cells:
    """WSC: the text, with the noun phrase marked as ``[ Mark ]`` and the pronoun as ``* he *``."""
    words = row.text("text").split()
    _mark(row, words, "span1", "[", "]")
    _mark(row, words, "span2", "*", "*")
    return row.text("uid"), label_word(row, task), " ".join(words)


def axg(row: Row, task: TaskDef) -> Cells:
    """AX-g: premise and hypothesis. The uid begins with the pair of the row.

    The hub's rows have no ``pair_id``; the pair is then a checksum of the texts without their gender.
    """
    texts = row.text("premise"), row.text("hypothesis")
    neutral = GENDERED.sub("_", "\n".join(texts).lower())
    pair_id = row.values.get("pair_id", crc32(neutral.encode()))
    return f"{pair_id}-{row.text('uid')}", label_word(row, task), *texts


def _mark(row: Row, words: list[str], span: str, left: str, right: str) -> None:
    """Put marks around a span, which begins at its index and has as many words as its text.

    The index is reliable. The span's text may differ from the words in case and punctuation.
    """
    first = int(row.text(f"{span}_index"))
    last = first + len(row.text(f"{span}_text").split()) - 1
    if not 0 <= first <= last < len(words):
        raise UserError(f"{row.where}: {span}: words {first} to {last} of {len(words)}")
    words[first] = f"{left} {words[first]}"
    words[last] = f"{words[last]} {right}"


def _uid(row: Row, parts: tuple[str, ...]) -> str:
    return "-".join(str(row.values["idx"][part]) for part in parts)


def _texts(values: Iterable[str]) -> list[str]:
    """Sorted unique texts, so that their order is reproducible."""
    return sorted({clean_text(value) for value in values})


def _literal(values: list) -> str:
    return json.dumps(values, ensure_ascii=False)


SHAPES: dict[str, Shape] = {
    "boolq": pair("passage", "question"),
    "cb": pair("premise", "hypothesis"),
    "copa": copa,
    "multirc": multirc,
    "record": record,
    "rte": pair("premise", "hypothesis"),
    "wic": wic,
    "wsc": wsc,
    "axb": pair("sentence1", "sentence2"),
    "axg": axg,
}
