"""Table files and checkpoints of MT-DNN that are refused."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from mt_dnn.from_mt_dnn.checkpoint_file import read_checkpoint
from mt_dnn.from_mt_dnn.import_report import ImportReport
from mt_dnn.tables.file import load_table
from tests.bad_input.expect import filled
from tests.support.table_file import FILE

CHANGES = [
    # name, changed entries, message
    ("no base", {"base": None}, "?"),
    ("base is a list", {"base": ["a"]}, "?"),
    ("base is a number", {"base": 7}, "?"),
    ("base is a missing file", {"base": "none.yml"}, "?"),
    ("base has an unknown setting", {"base": {"optim.lrr": 1}}, "?"),
    ("base has folds", {"base": {"data.folds": 3}}, "?"),
    ("a title is a list", {"title": ["a"]}, "?"),
    ("sizes are a list", {"sizes": [1]}, "?"),
    ("sizes set a seed", {"sizes": {"seed": 1}}, "?"),
    ("no seeds", {"seeds": []}, "?"),
    ("a seed is a word", {"seeds": ["a"]}, "?"),
    ("a seed is true", {"seeds": [True]}, "?"),
    ("a seed twice", {"seeds": [1, 1]}, "?"),
    ("a seed is negative", {"seeds": [-1]}, "?"),
    ("seeds are a number", {"seeds": 3}, "?"),
    ("no rows", {"rows": {}}, "?"),
    ("rows are a list", {"rows": ["a"]}, "?"),
    ("a row is a word", {"rows": {"a": "b"}}, "?"),
    ("a row is a number", {"rows": {"a": 7}}, "?"),
    ("a row has a bad name", {"rows": {"a/b": None}}, "?"),
    ("a row is named true", {"rows": {True: None}}, "?"),
    ("a row has an unknown setting", {"rows": {"a": {"smrt": "smart"}}}, "?"),
    ("a row sets a seed", {"rows": {"a": {"seed": 1}}}, "?"),
    ("a row starts from nothing", {"rows": {"a": {"start": "b"}}}, "?"),
    ("a row starts from itself", {"rows": {"a": {"start": "a"}}}, "?"),
    ("a row starts from a list", {"rows": {"a": {"start": ["a"]}}}, "?"),
    ("a row trains a word", {"rows": {"a": {"use": "rte"}}}, "?"),
    ("no columns", {"columns": {}}, "?"),
    ("a column without metric", {"columns": {"rte": {"use": ["rte"]}}}, "?"),
    ("a column trains nothing", {"columns": {"rte.ACC": {"use": []}}}, "?"),
    ("a column is null", {"columns": {"rte.ACC": None}}, "?"),
    ("a column has an unknown key", {"columns": {"rte.ACC": {"used": ["rte"]}}}, "?"),
    ("a column is a number", {"columns": {7: {"use": ["rte"]}}}, "?"),
    ("unknown aggregate", {"aggregate": "medium"}, "?"),
    ("aggregate is a list", {"aggregate": ["mean"]}, "?"),
    ("unknown test", {"test": "t"}, "?"),
    ("folds 1", {"folds": 1}, "?"),
    ("folds true", {"folds": True}, "?"),
    ("folds with wilcoxon", {"folds": 3, "test": "wilcoxon"}, "?"),
    ("keep_models is a word", {"keep_models": "maybe"}, "?"),
    ("paper without a source", {"paper": {"scores": {}}}, "?"),
    ("paper of an unknown row", {"paper": {"source": "x", "scores": {"none": {}}}}, "?"),
    (
        "paper of an unknown column",
        {"paper": {"source": "x", "scores": {"first": {"x.y": 1}}}},
        "?",
    ),
    ("paper with a word", {"paper": {"source": "x", "scores": {"first": {"rte.ACC": "a"}}}}, "?"),
    (
        "paper with NaN",
        {"paper": {"source": "x", "scores": {"first": {"rte.ACC": float("nan")}}}},
        "?",
    ),
    ("paper is a list", {"paper": ["x"]}, "?"),
    ("curves are a list", {"curves": ["x"]}, "?"),
    ("a curve of an unknown column", {"curves": {"x": ["y.z"]}}, "?"),
    ("a curve of a list", {"curves": {"x": [["rte.ACC"]]}}, "?"),
    ("a stage without tasks", {"stages": {"s": {"smart": "off"}}}, "?"),
    ("a stage named as a row", {"stages": {"first": {"use": ["rte"]}}}, "?"),
    ("unknown key", {"row": {}}, "?"),
]
TEXTS = [
    ("empty", b"", "?"),
    ("not YAML", b"rows: [1", "?"),
    ("not UTF-8", b"title: \xe9", "?"),
    ("a list", b"- a", "?"),
    ("10000 deep", b"rows: " + b"[" * 10_000 + b"]" * 10_000, "?"),
    ("a row twice", b"rows: {a: , a: }", "?"),
]


@pytest.mark.parametrize(
    ("changes", "message"), [c[1:] for c in CHANGES], ids=[c[0] for c in CHANGES]
)
def test_bad_tables(
    tmp_path: Path, outcome: Callable, changes: dict[str, Any], message: str
) -> None:
    path = tmp_path / "t.yml"
    changes = ({"paper": None} if {"rows", "columns"} & changes.keys() else {}) | changes
    entries = {key: value for key, value in (FILE | changes).items() if value is not None}
    path.write_text(yaml.safe_dump(entries), encoding="utf-8")
    assert outcome(lambda: load_table(path)) == (2, filled(message, tmp_path))


@pytest.mark.parametrize(("data", "message"), [c[1:] for c in TEXTS], ids=[c[0] for c in TEXTS])
def test_bad_table_texts(tmp_path: Path, outcome: Callable, data: bytes, message: str) -> None:
    path = tmp_path / "t.yml"
    path.write_bytes(data)
    assert outcome(lambda: load_table(path)) == (2, filled(message, tmp_path))


OBJECTS = [
    ("a list", [1], "?"),
    ("no state", {"epoch": 1}, "?"),
    ("state is a list", {"state": [1]}, "?"),
    ("state of numbers", {"state": {"a": 1}}, "?"),
    ("state of lists", {"state": {"a": [torch.zeros(1)]}}, "?"),
    ("numbers as names", {"state": {7: torch.zeros(1)}}, "?"),
    ("a tensor alone", torch.zeros(1), "?"),
    ("NaN in a weight", {"state": {"a": torch.tensor([float("nan")])}}, "?"),
]


@pytest.mark.parametrize(
    ("value", "message"), [c[1:] for c in OBJECTS], ids=[c[0] for c in OBJECTS]
)
def test_bad_checkpoints(tmp_path: Path, outcome: Callable, value: Any, message: str) -> None:
    path = tmp_path / "model.pt"
    torch.save(value, path)
    assert outcome(lambda: read_checkpoint(path, ImportReport())) == (2, filled(message, tmp_path))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "?"),
        (b"text", "?"),
        (b"PK\x03\x04 cut off", "?"),
        (pickle.dumps({"state": {}}), "?"),
        (b"\x80\x02.", "?"),
        (None, "?"),
    ],
    ids=["empty", "text", "cut zip", "plain pickle", "empty pickle", "missing"],
)
def test_bad_checkpoint_files(
    tmp_path: Path, outcome: Callable, data: bytes | None, message: str
) -> None:
    path = tmp_path / "model.pt"
    if data is not None:
        path.write_bytes(data)
    assert outcome(lambda: read_checkpoint(path, ImportReport())) == (2, filled(message, tmp_path))
