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
# fmt: off
CASES = [
    # name, task, changed keys of the second row, message
    ("label past the classes", "ids", {"label": 3}, "FOLDER/ids_train.json:2: label 3 of task 'ids' is outside 0..2 (n_class: 3)"),
    ("label negative", "ids", {"label": -1}, "FOLDER/ids_train.json:2: label -1 of task 'ids' is outside 0..2 (n_class: 3)"),
    ("label is a word", "ids", {"label": "one"}, "FOLDER/ids_train.json:2: label 'one' is not a number"),
    ("label is a list", "ids", {"label": [1]}, "FOLDER/ids_train.json:2: label [1] is not a number"),
    ("label is a fraction", "ids", {"label": 0.5}, "FOLDER/ids_train.json:2: label '0.5' of task 'ids' is not an integer; for label words give `labels: [...]` in the task file"),
    ("label is true", "ids", {"label": True}, "FOLDER/ids_train.json:2: label True is not a number"),
    ("label is NaN", "num", {"label": float("nan")}, "FOLDER/num_train.json:2: not JSON: NaN is not a JSON value; use null, or leave the key out"),
    ("label is a text for a number", "num", {"label": "x"}, "FOLDER/num_train.json:2: label 'x' is not a number"),
    ("label is missing", "ids", {"label": None}, "FOLDER/ids_train.json:2: some rows have labels and some do not"),
    ("token of another vocabulary", "ids", {"token_id": [2, 99999, 3]}, "FOLDER/ids_train.json:2: token_id 99999: the encoder's tokenizer has 694 tokens; the row was made with another tokenizer"),
    ("token negative", "ids", {"token_id": [2, -1, 3]}, "FOLDER/ids_train.json:2: token_id -1: the encoder's tokenizer has 694 tokens; the row was made with another tokenizer"),
    ("token is a word", "ids", {"token_id": ["a", "b", "c"]}, "FOLDER/ids_train.json:2: token_id: ['a', 'b', 'c'] is not a list of whole numbers"),
    ("token is a fraction", "ids", {"token_id": [2, 5.5, 3]}, "FOLDER/ids_train.json:2: token_id: [2, 5.5, 3] is not a list of whole numbers"),
    ("token is true", "ids", {"token_id": [2, True, 3]}, "FOLDER/ids_train.json:2: token_id: [2, True, 3] is not a list of whole numbers"),
    ("tokens are a number", "ids", {"token_id": 7}, "FOLDER/ids_train.json:2: token_id: 7 is not a list of at least one id"),
    ("tokens are a text", "ids", {"token_id": "253"}, "FOLDER/ids_train.json:2: token_id: '253' is not a list of at least one id"),
    ("no tokens", "ids", {"token_id": [], "type_id": []}, "FOLDER/ids_train.json:2: token_id: [] is not a list of at least one id"),
    ("too many tokens", "ids", {"token_id": [5] * 20, "type_id": [0] * 20}, "FOLDER/ids_train.json:2: 20 tokens are more than max_seq_len 16; tokenized rows are not truncated, so raise max_seq_len"),
    ("types of other length", "ids", {"type_id": [0, 0]}, "FOLDER/ids_train.json:2: 3 token_id for 2 type_id"),
    ("type out of range", "ids", {"type_id": [0, 300, 0]}, "FOLDER/ids_train.json:2: type_id: [0, 300, 0] is not a list of whole numbers, each 0 or 1"),
    ("type is a word", "ids", {"type_id": ["a", "b", "c"]}, "FOLDER/ids_train.json:2: type_id: ['a', 'b', 'c'] is not a list of whole numbers, each 0 or 1"),
    ("no types", "ids", {"type_id": None}, "FOLDER/ids_train.json:2: key 'type_id' is missing in a tokenized row"),
    ("a mask of other length", "ids", {"attention_mask": [1, 1]}, "FOLDER/ids_train.json:2: attention_mask: [1, 1] is not a list with one entry for each token_id"),
    ("a mask of zeros", "ids", {"attention_mask": [0, 0, 0]}, "FOLDER/ids_train.json:2: attention_mask: [0, 0, 0]; every entry must be 1. Batches are padded later: write the rows without padding tokens"),
    ("padding", "ids", {"attention_mask": [1, 1, 0]}, "FOLDER/ids_train.json:2: attention_mask: [1, 1, 0]; every entry must be 1. Batches are padded later: write the rows without padding tokens"),
    ("a mask of true", "ids", {"attention_mask": [True, True, True]}, "FOLDER/ids_train.json:2: attention_mask: [True, True, True]; every entry must be 1. Batches are padded later: write the rows without padding tokens"),
    ("a mask that is a number", "ids", {"attention_mask": 1}, "FOLDER/ids_train.json:2: attention_mask: 1 is not a list with one entry for each token_id"),
    ("a mask of one candidate", "rank", {"attention_mask": [1, 1, 1]}, "FOLDER/rank_train.json:2: attention_mask: [1, 1, 1] is not a list with one entry for each token_id"),
    ("a short mask of a candidate", "rank", {"attention_mask": [[1, 1, 1], [1]]}, "FOLDER/rank_train.json:2: attention_mask: [[1, 1, 1], [1]] is not a list with one entry for each token_id"),
    ("nested tokens", "ids", {"token_id": [[2, 3]], "type_id": [[0, 0]]}, "FOLDER/ids_train.json:2: token_id does not fit data_format PremiseOnly, which needs one list of ids"),
    ("uid is missing", "ids", {"uid": ["a"]}, "FOLDER/ids_train.json:2: column 'uid' contains a list, not a text"),
    ("flat tokens of candidates", "rank", {"token_id": [2, 3], "type_id": [0, 0]}, "FOLDER/rank_train.json:2: token_id does not fit data_format PremiseAndMultiHypothesis, which needs a list for each candidate"),
    ("candidates without types", "rank", {"type_id": [[0, 0, 0]]}, "FOLDER/rank_train.json:2: 2 lists of token_id for 1 of type_id"),
    ("an empty candidate", "rank", {"token_id": [[2, 5, 3], []], "type_id": [[0, 0, 0], []]}, "FOLDER/rank_train.json:2: token_id: [] is not a list of whole numbers"),
    ("no relevance of a candidate", "rank", {"olabel": [1]}, "FOLDER/rank_train.json:2: olabel: [1] is not a list with one entry for each of 2 candidates"),
    ("relevance is a word", "rank", {"olabel": [1, "no"]}, "FOLDER/rank_train.json:2: label 'no' is not a number"),
    ("relevance out of range", "rank", {"olabel": [1, 7]}, "FOLDER/rank_train.json:2: label 7 of task 'rank' is outside 0..1 (n_class: 2)"),
    ("relevance is a number", "rank", {"olabel": 1}, "FOLDER/rank_train.json:2: olabel: 1 is not a list with one entry for each of 2 candidates"),
    ("ruid is a number", "rank", {"ruid": 1}, "FOLDER/rank_train.json:2: ruid: 1 is not a list with one entry for each of 2 candidates"),
    ("ruid of other length", "rank", {"ruid": ["x"]}, "FOLDER/rank_train.json:2: ruid: ['x'] is not a list with one entry for each of 2 candidates"),
    ("one label for words", "words", {"label": 1}, "FOLDER/words_train.json:2: label: 1 is not a list with one id for each of 4 tokens"),
    ("fewer labels than tokens", "words", {"label": [3, 0, 4]}, "FOLDER/words_train.json:2: label: [3, 0, 4] is not a list with one id for each of 4 tokens"),
    ("word label out of range", "words", {"label": [3, 9, 1, 4]}, "FOLDER/words_train.json:2: label 9 is outside 0..1 and is not the id of X, CLS, SEP"),
    ("word label is a word", "words", {"label": [3, "O", 1, 4]}, "FOLDER/words_train.json:2: label 'O' is outside 0..1 and is not the id of X, CLS, SEP"),
]
# fmt: on


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
        ("ids", {"attention_mask": [1, 1, 1]}, None),
        ("rank", {"attention_mask": [[1, 1, 1], [1, 1, 1]]}, None),
        (
            "ids",
            {"label": None},
            "FOLDER/ids_train.json:4097: the rows from here on have the columns uid (string), input_ids (list<item: int32>), token_type_ids (list<item: int8>); the rows before them have uid (string), input_ids (list<item: int32>), token_type_ids (list<item: int8>), labels (int64). All rows of a file need the same columns, and all or none a label",
        ),
    ],
)
def test_rows_that_change_after_a_chunk(
    folder: Path, prepare: Callable, task: str, changes: dict[str, Any], message: str | None
) -> None:
    (folder / f"{task}_train.tsv").unlink()
    row = {key: value for key, value in (GOOD[task] | changes).items() if value is not None}
    write(folder / f"{task}_train.json", [GOOD[task]] * 4096 + [row])
    assert prepare(task) == ((0, "") if message is None else (2, filled(message, folder)))
