"""MT-DNN's tokenized rows that are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.bad_input.expect import filled

ONE = {"uid": "a", "label": 1, "token_id": [2, 5, 3], "type_id": [0, 0, 0]}
MANY = {
    "uid": "a",
    "label": 0,
    "olabel": [1, 0],
    "ruid": ["x", "y"],
    "token_id": [[2, 5, 3], [2, 6, 3]],
    "type_id": [[0, 0, 0], [0, 0, 0]],
}
WORDS = {"uid": "a", "label": [3, 0, 1, 4], "token_id": [2, 5, 6, 3], "type_id": [0, 0, 0, 0]}
GOOD: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("cls", "ids", "num"), ONE),
    "rank": MANY,
    "words": WORDS,
}
CASES = [
    # name, task, changed keys of the second row, message
    ("label past the classes", "ids", {"label": 3}, "?"),
    ("label negative", "ids", {"label": -1}, "?"),
    ("label is a word", "ids", {"label": "one"}, "?"),
    ("label is a list", "ids", {"label": [1]}, "?"),
    ("label is a fraction", "ids", {"label": 0.5}, "?"),
    ("label is true", "ids", {"label": True}, "?"),
    ("label is NaN", "num", {"label": float("nan")}, "?"),
    ("label is a text for a number", "num", {"label": "x"}, "?"),
    ("label is missing", "ids", {"label": None}, "?"),
    ("token of another vocabulary", "ids", {"token_id": [2, 99999, 3]}, "?"),
    ("token negative", "ids", {"token_id": [2, -1, 3]}, "?"),
    ("token is a word", "ids", {"token_id": ["a", "b", "c"]}, "?"),
    ("token is a fraction", "ids", {"token_id": [2, 5.5, 3]}, "?"),
    ("token is true", "ids", {"token_id": [2, True, 3]}, "?"),
    ("tokens are a number", "ids", {"token_id": 7}, "?"),
    ("tokens are a text", "ids", {"token_id": "253"}, "?"),
    ("no tokens", "ids", {"token_id": [], "type_id": []}, "?"),
    ("too many tokens", "ids", {"token_id": [5] * 20, "type_id": [0] * 20}, "?"),
    ("types of other length", "ids", {"type_id": [0, 0]}, "?"),
    ("type out of range", "ids", {"type_id": [0, 300, 0]}, "?"),
    ("type is a word", "ids", {"type_id": ["a", "b", "c"]}, "?"),
    ("no types", "ids", {"type_id": None}, "?"),
    ("nested tokens", "ids", {"token_id": [[2, 3]], "type_id": [[0, 0]]}, "?"),
    ("uid is missing", "ids", {"uid": ["a"]}, "?"),
    ("flat tokens of candidates", "rank", {"token_id": [2, 3], "type_id": [0, 0]}, "?"),
    ("candidates without types", "rank", {"type_id": [[0, 0, 0]]}, "?"),
    ("an empty candidate", "rank", {"token_id": [[2, 5, 3], []], "type_id": [[0, 0, 0], []]}, "?"),
    ("no relevance of a candidate", "rank", {"olabel": [1]}, "?"),
    ("relevance is a word", "rank", {"olabel": [1, "no"]}, "?"),
    ("relevance out of range", "rank", {"olabel": [1, 7]}, "?"),
    ("relevance is a number", "rank", {"olabel": 1}, "?"),
    ("ruid is a number", "rank", {"ruid": 1}, "?"),
    ("ruid of other length", "rank", {"ruid": ["x"]}, "?"),
    ("one label for words", "words", {"label": 1}, "?"),
    ("fewer labels than tokens", "words", {"label": [3, 0, 4]}, "?"),
    ("word label out of range", "words", {"label": [3, 9, 1, 4]}, "?"),
    ("word label is a word", "words", {"label": [3, "O", 1, 4]}, "?"),
]


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.mark.parametrize(
    ("task", "changes", "message"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_bad_token_rows(
    folder: Path, prepare: Callable, task: str, changes: dict[str, Any], message: str
) -> None:
    (folder / f"{task}_train.tsv").unlink()
    row = {key: value for key, value in (GOOD[task] | changes).items() if value is not None}
    write(folder / f"{task}_train.json", [GOOD[task], row])
    assert prepare(task) == (2, filled(message, folder))


@pytest.mark.parametrize(
    ("task", "changes", "message"),
    [
        ("num", {"label": 0.5}, None),  # whole numbers, then fractions: both are numbers
        ("rank", {"olabel": [0, 1]}, None),
        ("ids", {"label": None}, "?"),
    ],
)
def test_rows_that_change_after_a_chunk(
    folder: Path, prepare: Callable, task: str, changes: dict[str, Any], message: str | None
) -> None:
    (folder / f"{task}_train.tsv").unlink()
    row = {key: value for key, value in (GOOD[task] | changes).items() if value is not None}
    write(folder / f"{task}_train.json", [GOOD[task]] * 4096 + [row])
    assert prepare(task) == ((0, "") if message is None else (2, filled(message, folder)))
