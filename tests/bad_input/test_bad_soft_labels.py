"""Files of a teacher's logits that are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from data_utils.inputs import parse_rows
from data_utils.soft_labels import SoftLabels
from data_utils.token_table import tokenize
from mt_dnn.task_types import load_tasks
from tests.bad_input.expect import filled
from tests.bad_input.test_bad_rows import DEEP

LINE = b'{"uid": "a", "logits": [0.1, 0.2]}\n'
# fmt: off
CASES = [
    # name, second line, message
    ("empty", b"\0", "FOLDER/soft.jsonl:2: not JSON: Expecting value: line 1 column 1 (char 0)"),
    ("not JSON", b"{", "FOLDER/soft.jsonl:2: not JSON: Expecting property name enclosed in double quotes: line 2 column 1 (char 2)"),
    ("a list", b"[1, 2]", 'FOLDER/soft.jsonl:2: key \'uid\' is missing; expected a line of mt-dnn predict --what logits, such as {"uid": "7", "logits": [0.2, -1.3]}'),
    ("no logits", b'{"uid": "b"}', 'FOLDER/soft.jsonl:2: key \'logits\' is missing; expected a line of mt-dnn predict --what logits, such as {"uid": "7", "logits": [0.2, -1.3]}'),
    ("no uid", b'{"logits": [0.1, 0.2]}', 'FOLDER/soft.jsonl:2: key \'uid\' is missing; expected a line of mt-dnn predict --what logits, such as {"uid": "7", "logits": [0.2, -1.3]}'),
    ("a uid twice", LINE, "FOLDER/soft.jsonl:2: uid 'a' is already on line 1"),
    ("a key twice", b'{"uid": "b", "logits": [1, 2], "logits": [1, 2]}', "FOLDER/soft.jsonl:2: not JSON: key 'logits' occurs twice"),
    ("too few", b'{"uid": "b", "logits": [0.1]}', "FOLDER/soft.jsonl:2: uid 'b': logits must be 2 numbers, not 1"),
    ("too many", b'{"uid": "b", "logits": [0.1, 0.2, 0.3]}', "FOLDER/soft.jsonl:2: uid 'b': logits must be 2 numbers, not 3"),
    ("a number", b'{"uid": "b", "logits": 0.1}', "FOLDER/soft.jsonl:2: uid 'b': logits must be 2 numbers, not a single number"),
    ("words", b'{"uid": "b", "logits": ["x", "y"]}', "FOLDER/soft.jsonl:2: uid 'b': logits must be 2 numbers, not ['x', 'y']"),
    ("an object", b'{"uid": "b", "logits": {"x": 1}}', "FOLDER/soft.jsonl:2: uid 'b': logits must be 2 numbers, not {'x': 1}"),
    ("a null", b'{"uid": "b", "logits": [0.1, null]}', "FOLDER/soft.jsonl:2: uid 'b': logits must be 2 numbers, not [0.1, None]"),
    ("a bool", b'{"uid": "b", "logits": [true, false]}', "FOLDER/soft.jsonl:2: uid 'b': logits must be 2 numbers, not [True, False]"),
    ("nested", b'{"uid": "b", "logits": [[0.1], 0.2]}', "FOLDER/soft.jsonl:2: uid 'b': logits must be 2 numbers, not [[0.1], 0.2]"),
    ("NaN", b'{"uid": "b", "logits": [NaN, 0.2]}', "FOLDER/soft.jsonl:2: not JSON: NaN is not a JSON value; use null, or leave the key out"),
    ("Infinity", b'{"uid": "b", "logits": [Infinity, 0.2]}', "FOLDER/soft.jsonl:2: not JSON: Infinity is not a JSON value; use null, or leave the key out"),
    ("1e999", b'{"uid": "b", "logits": [1e999, 0.2]}', "FOLDER/soft.jsonl:2: uid 'b': logits are not finite"),
    ("1e300", b'{"uid": "b", "logits": [1e300, 0.2]}', "FOLDER/soft.jsonl:2: uid 'b': logits are not finite"),
    ("5000 digits", b'{"uid": "b", "logits": [' + b"1" * 5000 + b", 0.2]}", "FOLDER/soft.jsonl:2: not JSON: a number has more than 4300 digits"),
    ("400 digits", b'{"uid": "b", "logits": [' + b"1" * 400 + b", 0.2]}", "FOLDER/soft.jsonl:2: uid 'b': logits must be 2 numbers, not [11111111111111111111111111111111111111111111111111111111111"),
    ("10000 deep", b'{"uid": "b", "logits": ' + DEEP.encode() + b"}", "FOLDER/soft.jsonl:2: not JSON: nested too deep"),
    ("50 deep", b'{"uid": "b", "logits": ' + b"[" * 50 + b"]" * 50 + b"}", "FOLDER/soft.jsonl:2: uid 'b': logits must be 2 numbers, not [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]"),
    ("not UTF-8", b'{"uid": "\xe9", "logits": [0.1, 0.2]}', "FOLDER/soft.jsonl:2: not UTF-8: byte 0xe9 after ..."),
    ("another uid", b'{"uid": "c", "logits": [0.1, 0.2]}', "FOLDER/soft.jsonl: no logits for 1 of the 2 examples of rows.tsv: uid 'b'"),
]
# fmt: on


@pytest.mark.parametrize(("line", "message"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_bad_soft_labels(
    folder: Path, tokenizer, outcome: Callable, line: bytes, message: str
) -> None:
    path = folder / "soft.jsonl"
    path.write_bytes(LINE + line + b"\n")
    task = load_tasks(folder / "tasks.yml")["pair"]
    rows = [{"uid": uid, "premise": "x", "hypothesis": "y", "label": 0} for uid in "ab"]

    def join() -> None:
        soft = SoftLabels(path, task, source="rows.tsv")
        soft.join(tokenize(parse_rows(rows, task), task, tokenizer, max_seq_len=16)[0])
        soft.close()

    assert outcome(join) == (2, filled(message, folder))
