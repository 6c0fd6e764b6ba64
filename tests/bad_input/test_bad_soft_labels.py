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
CASES = [
    # name, second line, message
    ("empty", b"\0", "?"),
    ("not JSON", b"{", "?"),
    ("a list", b"[1, 2]", "?"),
    ("no logits", b'{"uid": "b"}', "?"),
    ("no uid", b'{"logits": [0.1, 0.2]}', "?"),
    ("a uid twice", LINE, "?"),
    ("a key twice", b'{"uid": "b", "logits": [1, 2], "logits": [1, 2]}', "?"),
    ("too few", b'{"uid": "b", "logits": [0.1]}', "?"),
    ("too many", b'{"uid": "b", "logits": [0.1, 0.2, 0.3]}', "?"),
    ("a number", b'{"uid": "b", "logits": 0.1}', "?"),
    ("words", b'{"uid": "b", "logits": ["x", "y"]}', "?"),
    ("an object", b'{"uid": "b", "logits": {"x": 1}}', "?"),
    ("a null", b'{"uid": "b", "logits": [0.1, null]}', "?"),
    ("a bool", b'{"uid": "b", "logits": [true, false]}', "?"),
    ("nested", b'{"uid": "b", "logits": [[0.1], 0.2]}', "?"),
    ("NaN", b'{"uid": "b", "logits": [NaN, 0.2]}', "?"),
    ("Infinity", b'{"uid": "b", "logits": [Infinity, 0.2]}', "?"),
    ("1e999", b'{"uid": "b", "logits": [1e999, 0.2]}', "?"),
    ("1e300", b'{"uid": "b", "logits": [1e300, 0.2]}', "?"),
    ("5000 digits", b'{"uid": "b", "logits": [' + b"1" * 5000 + b", 0.2]}", "?"),
    ("400 digits", b'{"uid": "b", "logits": [' + b"1" * 400 + b", 0.2]}", "?"),
    ("10000 deep", b'{"uid": "b", "logits": ' + DEEP.encode() + b"}", "?"),
    ("50 deep", b'{"uid": "b", "logits": ' + b"[" * 50 + b"]" * 50 + b"}", "?"),
    ("not UTF-8", b'{"uid": "\xe9", "logits": [0.1, 0.2]}', "?"),
    ("another uid", b'{"uid": "c", "logits": [0.1, 0.2]}', "?"),
]


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
