"""Questions about documents: the label of a row."""

from __future__ import annotations

import json
from typing import Any

import pytest

from data_utils.errors import UserError
from data_utils.formats import Example, Row
from data_utils.formats.mrc import UNANSWERABLE, SpanLabel
from data_utils.registries import FORMATS
from data_utils.sources import FileSource
from tests.support.tasks import make_task

MRC = FORMATS.get("MRC")
DOCUMENT = "The dog sleeps in the house, and the cat in the garden."


def parse(label: str = "", document: str = DOCUMENT, **values: Any) -> SpanLabel | None:
    row = {"uid": "7", "label": label, "document": document, "question": "who sleeps ?"} | values
    return MRC.parse(Row(row, "rows.tsv:3"), make_task("Span")).label


def test_a_row_with_its_label():
    row = {"uid": "7", "label": "4:::7:::0:::dog", "document": DOCUMENT, "question": "who ?"}
    example = MRC.parse(Row(row, "rows.tsv:3"), make_task("Span"))
    assert example == Example("7", (DOCUMENT, "who ?"), SpanLabel(4, 7, ("dog",)))


def test_several_answers_none_and_no_label():
    assert parse("4:::7:::0:::dog:::The dog:::dog") == SpanLabel(4, 7, ("dog", "The dog"))
    assert parse("-1:::-1:::1:::") == UNANSWERABLE
    assert parse("-1:::-1:::1") == UNANSWERABLE
    assert parse("") is None


@pytest.mark.parametrize(
    ("label", "answers"),
    [
        ("0:::4:::0:::See:", ("See:",)),
        ("0:::4:::0:::See::::the note", ("See:", "the note")),
        ("0:::4:::0:::See::::See", ("See:", "See")),
        ("0:::3:::0:::See::::the", ("See", ":the")),
        ("0:::3:::0:::See:::the note::::See:", ("See", "the note:", "See:")),
        ("3:::4:::0::::", (":",)),
    ],
)
def test_colons_at_the_ends_of_answers(label, answers):
    assert parse(label, document="See: the note").answers == answers


BAD_LABELS = {
    "dog": "is not start:::end:::impossible:::answer",
    "4:::7": "is not start:::end:::impossible:::answer",
    "a:::7:::0:::dog": "is not start:::end:::impossible:::answer",
    "4:::7:::2:::dog": "is not start:::end:::impossible:::answer",
    "4:::7:::0": "is not start:::end:::impossible:::answer",
    "4:::7:::0:::": "is not start:::end:::impossible:::answer",
    "5:::8:::0:::dog": r"answer is 'dog', but characters 5:8 of the document .* are 'og '",
    "4:::8:::0:::dog": r"characters 4:8 of the document .* are 'dog '",
    "4:::7:::0:::Dog": "answer is 'Dog', but .* are 'dog'",
    "-8:::-1:::0:::garden.": "answer is 'garden.', but .* are ''",
    "48:::99:::0:::garden.": r"characters 48:99 of the document \(55 characters\) are 'garden.'",
}


@pytest.mark.parametrize("label", BAD_LABELS)
def test_a_malformed_label_names_its_line_and_what_stands_there(label):
    with pytest.raises(UserError, match=rf"^rows\.tsv:3: .*{BAD_LABELS[label]}"):
        parse(label)


def test_the_keys_of_squad_in_json(tmp_path):
    dog, cat = ({"text": "dog", "answer_start": 4}, {"text": "cat", "answer_start": 37})
    forms: list[tuple[dict[str, Any], SpanLabel | None]] = [
        ({"label": "4:::7:::0:::dog"}, SpanLabel(4, 7, ("dog",))),
        ({"answers": [dog, cat, dog]}, SpanLabel(4, 7, ("dog", "cat"))),
        ({"answers": [dog], "is_impossible": False}, SpanLabel(4, 7, ("dog",))),
        (
            {"answers": {"text": ["cat", "dog"], "answer_start": [37, 4]}},
            SpanLabel(37, 40, ("cat", "dog")),
        ),
        ({"answers": [], "is_impossible": True}, UNANSWERABLE),
        ({"answers": [dog], "is_impossible": True}, UNANSWERABLE),  # a plausible one
        ({"is_impossible": True}, UNANSWERABLE),
        ({"answers": {"text": [], "answer_start": []}}, UNANSWERABLE),
        ({}, None),
        ({"answers": None}, None),
    ]
    path = tmp_path / "rows.jsonl"
    common = {"id": "q", "context": DOCUMENT, "question": "who ?"}
    path.write_text("".join(json.dumps(common | keys) + "\n" for keys, _ in forms))
    source = FileSource(path, MRC.columns, {"document": "context", "uid": "id"})
    examples = [MRC.parse(row, make_task("Span")) for row in source.rows()]
    assert [example.label for example in examples] == [label for _, label in forms]
    assert {example.uid for example in examples} == {"q"}


@pytest.mark.parametrize(
    "answers",
    [
        "dog",
        ["dog"],
        [{"text": "dog"}],
        {"text": ["dog"]},
        {"text": ["a"], "answer_start": []},
        3,
        {"text": [""], "answer_start": [0]},
        {"text": ["dog"], "answer_start": [4.0]},
    ],
)
def test_answers_of_another_shape(answers):
    with pytest.raises(UserError, match=r"rows\.tsv:3: 'answers' is .*; expected a list of"):
        parse(answers=answers)


def test_answers_stand_where_they_say():
    with pytest.raises(UserError, match=r"rows\.tsv:3: the answer is 'dog', but characters 5:8"):
        parse(answers=[{"text": "dog", "answer_start": 5}])
