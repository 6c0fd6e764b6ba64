"""Rows that are refused as preparing reads them, in TSV and JSON lines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bad_input.expect import filled
from tests.bad_input.folder import ROWS

DEEP = "[" * 10_000 + "]" * 10_000
TSV = [
    # name, task, second row, message
    ("one column", "cls", b"b", "?"),
    ("too many columns", "cls", b"b\tno\tx\ty", "?"),
    ("unknown label", "cls", b"b\tnope\tx", "?"),
    ("label in other case", "cls", b"b\tYes\tx", "?"),
    ("no label in a labelled split", "cls", b"b\t\tx", "?"),
    ("not UTF-8", "cls", "b\tno\tcaf\xe9".encode("latin-1"), "?"),
    ("UTF-16", "cls", "b\tno\tx".encode("utf-16"), "?"),
    ("NUL in a text", "cls", b"b\tno\tx\0y", "?"),
    ("NUL in a label", "cls", b"b\tno\0\tx", "?"),
    ("surrogate bytes", "cls", b"b\tno\tx\xed\xa0\xbd", "?"),
    ("class id out of range", "ids", b"b\t3\tx", "?"),
    ("class id negative", "ids", b"b\t-1\tx", "?"),
    ("class id with underscore", "ids", b"b\t0_1\tx", "?"),
    ("class id in other digits", "ids", "b\t\u0661\tx".encode(), "?"),
    ("class id as float", "ids", b"b\t1.0\tx", "?"),
    ("class id of 5000 digits", "ids", b"b\t" + b"1" * 5000 + b"\tx", "?"),
    ("number nan", "num", b"b\tnan\tx", "?"),
    ("number inf", "num", b"b\tinf\tx", "?"),
    ("number 1e300", "num", b"b\t1e300\tx", "?"),
    ("number with underscore", "num", b"b\t1_0\tx", "?"),
    ("number with comma", "num", b"b\t1,5\tx", "?"),
    ("number of 5000 digits", "num", b"b\t" + b"1" * 5000 + b"\tx", "?"),
    ("number in hexadecimal", "num", b"b\t0x10\tx", "?"),
    ("number in other digits", "num", "b\t\u0661\tx".encode(), "?"),
    ("pair without second text", "pair", b"b\t1\tx", "?"),
    ("unknown label in a set", "tags", b"b\tred,green\tx", "?"),
    ("label set cut off", "tags", b'b\t["red"\tx', "?"),
    ("label set nested", "tags", b'b\t[["red"]]\tx', "?"),
    ("label set too deep", "tags", b"b\t" + DEEP.encode() + b"\tx", "?"),
    ("fewer labels than candidates", "rank", b"b\tx,y\t1\tp\tq\tr", "?"),
    ("more labels than candidates", "rank", b"b\tx,y\t1,0,0\tp\tq\tr", "?"),
    ("no candidate", "rank", b"b\tx,y\t1,0\tp", "?"),
    ("relevance out of range", "rank", b"b\tx,y\t1,2\tp\tq\tr", "?"),
    ("relevance is a word", "rank", b"b\tx,y\t1,no\tp\tq\tr", "?"),
    ("relevance with a gap", "rank", b"b\tx,y\t1,\tp\tq\tr", "?"),
    ("choice without number", "pick", b"b\tx,y\t1,b\tp\tq\tr", "?"),
    ("fewer labels than words", "words", b"b\tO\tbad night", "?"),
    ("more labels than words", "words", b"b\tO O O\tbad night", "?"),
    ("unknown word label", "words", b"b\tO B-y\tbad night", "?"),
    ("no words", "words", b"b\tO\t ", "?"),
    ("words cut off", "words", b'b\tO O\t["bad", "night"', "?"),
    ("labels cut off", "words", b'b\t["O", "O"\tbad night', "?"),
    ("an empty word", "words", b'b\tO O\t["bad", ""]', "?"),
    ("span without answer", "span", b"b\t0:::3:::0\tbad\twhat", "?"),
    ("span without numbers", "span", b"b\ta:::b:::0:::bad\tbad\twhat", "?"),
    ("span past the end", "span", b"b\t0:::9:::0:::bad\tbad\twhat", "?"),
    ("span of 5000 digits", "span", b"b\t" + b"9" * 5000 + b":::3:::0:::bad\tbad\twhat", "?"),
    ("span with another answer", "span", b"b\t0:::3:::0:::bat\tbad\twhat", "?"),
    ("span before the start", "span", b"b\t-3:::0:::0:::bad\tbad\twhat", "?"),
    ("fewer choices than candidates", "cloze", b'b\t["x"]\tx\t0,1\tp\tq\tr', "?"),
    ("no cloze candidate", "cloze", b'b\t["x"]\tx\t0,1\tp', "?"),
    ("blank text", "text", b"b\t  ", "?"),
    ("only labels that drop", "cls", b"-", "?"),
]
J = '"uid": "b", "label": "no"'
JSON = [
    # name, task, line, message
    ("not JSON", "cls", "{", "?"),
    ("a list", "cls", '["b", "no", "x"]', "?"),
    ("a number", "cls", "7", "?"),
    ("two objects on a line", "cls", "{} {}", "?"),
    ("single quotes", "cls", "{'premise': 'x'}", "?"),
    ("a trailing comma", "cls", '{"premise": "x",}', "?"),
    ("no text", "cls", f"{{{J}}}", "?"),
    ("text is null", "cls", f'{{{J}, "premise": null}}', "?"),
    ("text is NaN", "cls", f'{{{J}, "premise": NaN}}', "?"),
    ("text is Infinity", "cls", f'{{{J}, "premise": -Infinity}}', "?"),
    ("text is a list", "cls", f'{{{J}, "premise": ["x"]}}', "?"),
    ("text is an object", "cls", f'{{{J}, "premise": {{"x": 1}}}}', "?"),
    ("text is true", "cls", f'{{{J}, "premise": true}}', "?"),
    ("half a surrogate pair", "cls", f'{{{J}, "premise": "nice \\ud83d"}}', "?"),
    (
        "half a surrogate pair in the uid",
        "cls",
        '{"uid": "\\ud83d", "label": "no", "premise": "x"}',
        "?",
    ),
    ("NUL in a JSON text", "cls", f'{{{J}, "premise": "a\\u0000b"}}', "?"),
    ("a key twice", "cls", f'{{{J}, "premise": "x", "premise": "y"}}', "?"),
    ("a number of 5000 digits", "cls", f'{{{J}, "premise": {"1" * 5000}}}', "?"),
    ("nested 10000 deep", "cls", f'{{{J}, "premise": {DEEP}}}', "?"),
    ("nested 10000 deep in an unused key", "cls", f'{{{J}, "premise": "x", "meta": {DEEP}}}', "?"),
    ("label is a list", "cls", '{"label": ["no"], "premise": "x"}', "?"),
    ("label is an object", "cls", '{"label": {"no": 1}, "premise": "x"}', "?"),
    ("label is a number", "cls", '{"label": 0, "premise": "x"}', "?"),
    ("label is false", "ids", '{"label": false, "premise": "x"}', "?"),
    ("id is a fraction", "ids", '{"label": 1.5, "premise": "x"}', "?"),
    ("number is NaN", "num", '{"label": NaN, "premise": "x"}', "?"),
    ("number is 1e999", "num", '{"label": 1e999, "premise": "x"}', "?"),
    ("number is true", "num", '{"label": true, "premise": "x"}', "?"),
    ("uid is a list", "cls", '{"uid": [1], "label": "no", "premise": "x"}', "?"),
    ("uid is NaN", "cls", '{"uid": NaN, "label": "no", "premise": "x"}', "?"),
    ("candidates are a text", "rank", '{"label": [1, 0], "premise": "x", "hypothesis": "y"}', "?"),
    (
        "candidates are an object",
        "rank",
        '{"label": [1], "premise": "x", "hypothesis": {"a": 1}}',
        "?",
    ),
    ("candidates are empty", "rank", '{"label": [], "premise": "x", "hypothesis": []}', "?"),
    (
        "a candidate is null",
        "rank",
        '{"label": [1, 0], "premise": "x", "hypothesis": ["y", null]}',
        "?",
    ),
    (
        "a candidate is a list",
        "rank",
        '{"label": [1, 0], "premise": "x", "hypothesis": ["y", ["z"]]}',
        "?",
    ),
    (
        "a candidate is half a pair",
        "rank",
        '{"label": [1, 0], "premise": "x", "hypothesis": ["y", "\\ud83d"]}',
        "?",
    ),
    ("candidates are a number", "rank", '{"label": [1, 0], "premise": "x", "hypothesis": 7}', "?"),
    (
        "relevances are nested",
        "rank",
        '{"label": [[1], 0], "premise": "x", "hypothesis": ["y", "z"]}',
        "?",
    ),
    (
        "relevance is null",
        "rank",
        '{"label": [1, null], "premise": "x", "hypothesis": ["y", "z"]}',
        "?",
    ),
    (
        "ruid is an object",
        "rank",
        '{"ruid": {"a": 1}, "label": [1, 0], "premise": "x", "hypothesis": ["y", "z"]}',
        "?",
    ),
    ("words are an object", "words", '{"label": ["O"], "tokens": {"x": 1}}', "?"),
    ("a word is null", "words", '{"label": ["O", "O"], "tokens": ["x", null]}', "?"),
    ("a word is a list", "words", '{"label": ["O", "O"], "tokens": ["x", ["y"]]}', "?"),
    ("a word is blank", "words", '{"label": ["O", "O"], "tokens": ["x", " "]}', "?"),
    ("answers are a text", "span", '{"document": "x", "question": "y", "answers": "x"}', "?"),
    (
        "answers are numbers",
        "span",
        '{"document": "x", "question": "y", "answers": [{"text": 1, "answer_start": 0}]}',
        "?",
    ),
    (
        "answer starts at a text",
        "span",
        '{"document": "x", "question": "y", "answers": [{"text": "x", "answer_start": "0"}]}',
        "?",
    ),
    (
        "answer starts at 1e30",
        "span",
        '{"document": "x", "question": "y", "answers": [{"text": "x", "answer_start": 1000000000000000000000000000000}]}',
        "?",
    ),
    (
        "answer without a start",
        "span",
        '{"document": "x", "question": "y", "answers": [{"text": "x"}]}',
        "?",
    ),
    (
        "lists of unequal length",
        "span",
        '{"document": "x", "question": "y", "answers": {"text": ["x"], "answer_start": []}}',
        "?",
    ),
    (
        "is_impossible is a text",
        "span",
        '{"document": "x", "question": "y", "is_impossible": "false"}',
        "?",
    ),
    (
        "choices are an object",
        "cloze",
        '{"premise": "x", "hypothesis": ["y"], "choice": {"a": 1}, "label": [1]}',
        "?",
    ),
    (
        "answer is an object",
        "cloze",
        '{"premise": "x", "hypothesis": ["y"], "answer": {"a": 1}, "label": [1]}',
        "?",
    ),
    ("label set with null", "tags", '{"premise": "x", "label": ["red", null]}', "?"),
    ("label set is an object", "tags", '{"premise": "x", "label": {"red": 1}}', "?"),
    ("label text is a list", "write", '{"premise": "x", "label": ["y"]}', "?"),
]


@pytest.mark.parametrize(("task", "line", "message"), [c[1:] for c in TSV], ids=[c[0] for c in TSV])
def test_bad_tsv(folder: Path, prepare: Callable, task: str, line: bytes, message: str) -> None:
    path = folder / f"{task}_train.tsv"
    path.write_bytes(ROWS[task][0].encode() + b"\n" + line + b"\n")
    assert prepare(task) == (2, filled(message, folder))


@pytest.mark.parametrize(
    ("task", "line", "message"), [c[1:] for c in JSON], ids=[c[0] for c in JSON]
)
def test_bad_json_lines(
    folder: Path, prepare: Callable, task: str, line: str, message: str
) -> None:
    (folder / f"{task}_train.tsv").unlink()
    (folder / f"{task}_train.jsonl").write_text(f"{line}\n", encoding="utf-8")
    assert prepare(task) == (2, filled(message, folder))
