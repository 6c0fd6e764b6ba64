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
from mt_dnn.tables.checks import check_columns
from mt_dnn.tables.file import load_table
from mt_dnn.tables.plan import plan
from tests.bad_input.expect import filled
from tests.support.table_file import FILE

# fmt: off
CHANGES = [
    # name, changed entries, message
    ("no base", {"base": None}, "FOLDER/t.yml: key 'base' is missing or empty"),
    ("base is a list", {"base": ["a"]}, "FOLDER/t.yml: base: ['a'] is not a mapping of settings, such as {data.train_limit: 300}"),
    ("base is a number", {"base": 7}, "FOLDER/t.yml: base: 7 is not a mapping of settings, such as {data.train_limit: 300}"),
    ("base is a missing file", {"base": "none.yml"}, "FOLDER/t.yml: base: run config none.yml does not exist"),
    ("base has an unknown setting", {"base": {"optim.lrr": 1}}, "FOLDER/t.yml: base: unknown setting 'optim.lrr'. Did you mean 'optim.lr'? Choices: ..."),
    ("base has folds", {"base": {"data.folds": 3}}, "FOLDER/t.yml: base: data.folds is set by the table runner; remove it and set the table key folds"),
    ("a title is a list", {"title": ["a"]}, "FOLDER/t.yml: title: ['a'] is not a text"),
    ("sizes are a list", {"sizes": [1]}, "FOLDER/t.yml: sizes: [1] is not a mapping of settings, such as {data.train_limit: 300}"),
    ("sizes set a seed", {"sizes": {"seed": 1}}, "FOLDER/t.yml: sizes: seed is set by the table runner; remove it"),
    ("no seeds", {"seeds": []}, "FOLDER/t.yml: key 'seeds' is missing or empty"),
    ("a seed is a word", {"seeds": ["a"]}, "FOLDER/t.yml: seeds: ['a'] is not a list of whole numbers"),
    ("a seed is true", {"seeds": [True]}, "FOLDER/t.yml: seeds: [True] is not a list of whole numbers"),
    ("a seed twice", {"seeds": [1, 1]}, "FOLDER/t.yml: seeds: [1, 1] contains a seed twice; each may occur once"),
    ("a seed is negative", {"seeds": [-1]}, "FOLDER/t.yml: seeds: [-1]; each must be between 0 and 9223372036854775807"),
    ("seeds are a number", {"seeds": 3}, "FOLDER/t.yml: seeds: 3 is not a list of whole numbers"),
    ("no rows", {"rows": {}}, "FOLDER/t.yml: key 'rows' is missing or empty"),
    ("a row changes one key of a mapping", {"rows": {"a": {"mixing.options.cap": 3}}}, "FOLDER/t.yml: row 'a': mixing.options.cap: write mixing.options: {cap: ...}, the whole mapping, which replaces that of base"),
    ("rows are a list", {"rows": ["a"]}, "FOLDER/t.yml: rows: ['a'] is not a mapping"),
    ("a row is a word", {"rows": {"a": "b"}}, "FOLDER/t.yml: row 'a': 'b' is not a mapping"),
    ("a row is a number", {"rows": {"a": 7}}, "FOLDER/t.yml: row 'a': 7 is not a mapping"),
    ("a row has a bad name", {"rows": {"a/b": None}}, "FOLDER/t.yml: row 'a/b': begin with a letter or digit; _ . + - may follow; quote yes, no, on and off"),
    ("a row is named true", {"rows": {True: None}}, "FOLDER/t.yml: row True: begin with a letter or digit; _ . + - may follow; quote yes, no, on and off"),
    ("a row has an unknown setting", {"rows": {"a": {"smrt": "smart"}}}, "FOLDER/t.yml: row 'a': unknown setting 'smrt'. Did you mean 'smart'? Choices: ..."),
    ("a row sets a seed", {"rows": {"a": {"seed": 1}}}, "FOLDER/t.yml: row 'a': seed is set by the table runner; remove it"),
    ("a row starts from nothing", {"rows": {"a": {"start": "b"}}}, "FOLDER/t.yml: row 'a': start: no stage or earlier row is named 'b'. Choices: ."),
    ("a row starts from itself", {"rows": {"a": {"start": "a"}}}, "FOLDER/t.yml: row 'a': start: no stage or earlier row is named 'a'. Choices: ."),
    ("a row starts from a list", {"rows": {"a": {"start": ["a"]}}}, "FOLDER/t.yml: row 'a': start: no stage or earlier row is named ['a']. Choices: ."),
    ("a row trains a word", {"rows": {"a": {"use": "rte"}}}, "FOLDER/t.yml: row 'a': use: expected a list of task names, such as [rte]"),
    ("no columns", {"columns": {}}, "FOLDER/t.yml: key 'columns' is missing or empty"),
    ("a column without metric", {"columns": {"rte": {"use": ["rte"]}}}, "FOLDER/t.yml: column 'rte': expected dataset.metric, such as rte.ACC"),
    ("a column trains nothing", {"columns": {"rte.ACC": {"use": []}}}, "FOLDER/t.yml: column 'rte.ACC': use: expected a list of task names, such as [rte]"),
    ("a column is null", {"columns": {"rte.ACC": None}}, "FOLDER/t.yml: column 'rte.ACC': None is not a mapping"),
    ("a column has an unknown key", {"columns": {"rte.ACC": {"used": ["rte"]}}}, "FOLDER/t.yml: column 'rte.ACC': unknown key 'used'. Did you mean 'use'? Choices: use."),
    ("a column is a number", {"columns": {7: {"use": ["rte"]}}}, "FOLDER/t.yml: column 7: expected dataset.metric, such as rte.ACC"),
    ("unknown aggregate", {"aggregate": "medium"}, "FOLDER/t.yml: aggregate: unknown value 'medium'. Did you mean 'median'? Choices: best, mean, median."),
    ("aggregate is a list", {"aggregate": ["mean"]}, "FOLDER/t.yml: aggregate: unknown value ['mean']. Did you mean 'mean'? Choices: best, mean, median."),
    ("unknown test", {"test": "t"}, "FOLDER/t.yml: test: unknown value 't'. Choices: paired_t, wilcoxon."),
    ("folds 1", {"folds": 1}, "FOLDER/t.yml: folds: 1 is not a whole number of at least 2"),
    ("folds true", {"folds": True}, "FOLDER/t.yml: folds: True is not a whole number of at least 2"),
    ("folds with wilcoxon", {"folds": 3, "test": "wilcoxon"}, "FOLDER/t.yml: test: wilcoxon has no correction for folds, whose training sets overlap; use paired_t"),
    ("keep_models is a word", {"keep_models": "maybe"}, "FOLDER/t.yml: keep_models: 'maybe' is not true or false"),
    ("paper without a source", {"paper": {"scores": {}}}, "FOLDER/t.yml: paper: source: state where the numbers come from"),
    ("paper of an unknown row", {"paper": {"source": "x", "scores": {"none": {}}}}, "FOLDER/t.yml: paper: unknown row 'none'. Choices: first, with_r_s."),
    ("paper of an unknown column", {"paper": {"source": "x", "scores": {"first": {"x.y": 1}}}}, "FOLDER/t.yml: paper: first: unknown column 'x.y'. Choices: mrpc.F1, rte.ACC."),
    ("paper with a word", {"paper": {"source": "x", "scores": {"first": {"rte.ACC": "a"}}}}, "FOLDER/t.yml: paper: first: rte.ACC: 'a' is not a number"),
    ("paper with NaN", {"paper": {"source": "x", "scores": {"first": {"rte.ACC": float("nan")}}}}, "FOLDER/t.yml: paper: first: rte.ACC: nan is not a number"),
    ("paper is a list", {"paper": ["x"]}, "FOLDER/t.yml: paper: ['x'] is not a mapping"),
    ("curves are a list", {"curves": ["x"]}, "FOLDER/t.yml: curves: ['x'] is not a mapping"),
    ("a curve of an unknown column", {"curves": {"x": ["y.z"]}}, "FOLDER/t.yml: curves: x: unknown column 'y.z'. Choices: mrpc.F1, rte.ACC."),
    ("a curve of a list", {"curves": {"x": [["rte.ACC"]]}}, "FOLDER/t.yml: curves: x: unknown column ['rte.ACC']. Did you mean 'rte.ACC'? Choices: mrpc.F1, rte.ACC."),
    ("a stage without tasks", {"stages": {"s": {"smart": "off"}}}, "FOLDER/t.yml: stage 's': use: expected a list of task names"),
    ("a stage named as a row", {"stages": {"first": {"use": ["rte"]}}}, "FOLDER/t.yml: stage 'first': a row has the same name"),
    ("unknown key", {"row": {}}, "FOLDER/t.yml: unknown key 'row'. Did you mean 'rows'? Choices: ..."),
]
# fmt: on
# fmt: off
RATES = {"mixing": {"name": "rates", "options": {"rates": {"rte": 2}}}}
PLANS = [
    # name, base, row, message: what is refused before anything runs
    ("out of range", {}, {"optim.warmup": 1.5}, "FOLDER/t.yml: row 'a': optim.warmup: 1.5; it must be between 0 and 1"),
    ("a contradiction", {}, {"batch.spread": True}, "FOLDER/t.yml: row 'a': batch.spread: true takes from different tasks the batches of one update, ..."),
    ("a wrong type", {}, {"data.eval_limit": 1.5}, "FOLDER/t.yml: row 'a': data.eval_limit: expected a whole number or null, got 1.5"),
    ("another name", RATES, {"mixing.name": "uniform"}, "FOLDER/t.yml: row 'a': mixing.options: uniform has no option 'rates'. It has no options. mixing.options: {} removes those that were given with another name."),
    ("null options", RATES, {"mixing.options": None}, "FOLDER/t.yml: row 'a': mixing.options: null; this setting needs a value, such as {} for an empty one"),
]
TEXTS = [
    ("empty", b"", "FOLDER/t.yml: the table file has no entries; expected `key: value`"),
    ("not YAML", b"rows: [1", "FOLDER/t.yml:1: not valid YAML: ..."),
    ("not UTF-8", b"title: \xe9", "FOLDER/t.yml:1: not UTF-8: byte 0xe9 after ..."),
    ("a list", b"- a", "FOLDER/t.yml: the table file has no entries; expected `key: value`"),
    ("10000 deep", b"rows: " + b"[" * 10_000 + b"]" * 10_000, "FOLDER/t.yml: not valid YAML: ..."),
    ("a row twice", b"rows: {a: , a: {x: 1}}", "FOLDER/t.yml:1: key 'a' occurs twice; ..."),
]
# fmt: on


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


@pytest.mark.parametrize(
    ("base", "row", "message"), [c[1:] for c in PLANS], ids=[c[0] for c in PLANS]
)
def test_bad_settings_of_rows(
    tmp_path: Path, outcome: Callable, base: dict[str, Any], row: dict[str, Any], message: str
) -> None:
    path = tmp_path / "t.yml"
    file = {key: value for key, value in FILE.items() if key != "paper"}
    path.write_text(yaml.safe_dump(file | {"base": FILE["base"] | base, "rows": {"a": row}}))
    assert outcome(lambda: plan(load_table(path))) == (2, filled(message, tmp_path))


def test_a_row_replaces_the_options_of_base_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "t.yml"
    rows = {
        "rates": {},
        "cap": {"mixing.options": {"cap": 5}},
        "uniform": {"mixing": {"name": "uniform", "options": {}}},
    }
    file = {key: value for key, value in FILE.items() if key != "paper"}
    path.write_text(yaml.safe_dump(file | {"base": FILE["base"] | RATES, "rows": rows}))
    found = {run.row: run.identity.get("mixing.options") for run in plan(load_table(path))}
    assert found == {"rates": {"rates": {"rte": 2.0}}, "cap": {"cap": 5}, "uniform": None}


def test_a_row_that_names_a_task_outside_of_its_runs(folder: Path, outcome: Callable) -> None:
    path = folder / "t.yml"
    options = {"rates": {"cls": 2, "pair": 3}}
    file = {
        "base": {"data": {"tasks": str(folder / "tasks.yml"), "data_dir": str(folder)}},
        "rows": {"a": {"mixing": {"name": "rates", "options": options}}},
        "columns": {"cls.ACC": {"use": ["cls", "pair"]}, "pair.ACC": {"use": ["pair"]}},
        "seeds": [1],
    }
    path.write_text(yaml.safe_dump(file))
    message = "FOLDER/t.yml: row 'a', pair: mixing.options.rates: cls: no such task is trained. ..."
    assert outcome(lambda: check_columns(load_table(path))) == (2, filled(message, folder))


@pytest.mark.parametrize(("data", "message"), [c[1:] for c in TEXTS], ids=[c[0] for c in TEXTS])
def test_bad_table_texts(tmp_path: Path, outcome: Callable, data: bytes, message: str) -> None:
    path = tmp_path / "t.yml"
    path.write_bytes(data)
    assert outcome(lambda: load_table(path)) == (2, filled(message, tmp_path))


# fmt: off
OBJECTS = [
    ("a list", [1], "FOLDER/model.pt has no entry `state` of tensors, where MT-DNN stores the weights. Found: list"),
    ("no state", {"epoch": 1}, "FOLDER/model.pt has no entry `state` of tensors, where MT-DNN stores the weights. Found: epoch"),
    ("state is a list", {"state": [1]}, "FOLDER/model.pt has no entry `state` of tensors, where MT-DNN stores the weights. Found: state"),
    ("state of numbers", {"state": {"a": 1}}, "FOLDER/model.pt has no entry `state` of tensors, where MT-DNN stores the weights. Found: state"),
    ("state of lists", {"state": {"a": [torch.zeros(1)]}}, "FOLDER/model.pt has no entry `state` of tensors, where MT-DNN stores the weights. Found: state"),
    ("numbers as names", {"state": {7: torch.zeros(1)}}, "FOLDER/model.pt: state: 7 is not the name of a weight"),
    ("a tensor alone", torch.zeros(1), "FOLDER/model.pt has no entry `state` of tensors, where MT-DNN stores the weights. Found: Tensor"),
    ("NaN in a weight", {"state": {"a": torch.tensor([float("nan")])}}, "FOLDER/model.pt: state: weight a contains NaN or infinity"),
]
# fmt: on


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
        (b"", "FOLDER/model.pt was not written by torch.save, or is damaged"),
        (b"text", "FOLDER/model.pt was not written by torch.save, or is damaged"),
        (b"PK\x03\x04 cut off", "FOLDER/model.pt was not written by torch.save, or is damaged"),
        (
            pickle.dumps({"state": {}}),
            "FOLDER/model.pt was not written by torch.save, or is damaged",
        ),
        (b"\x80\x02.", "FOLDER/model.pt was not written by torch.save, or is damaged"),
    ],
    ids=["empty", "text", "cut zip", "plain pickle", "empty pickle"],
)
def test_bad_checkpoint_files(tmp_path: Path, outcome: Callable, data: bytes, message: str) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(data)
    assert outcome(lambda: read_checkpoint(path, ImportReport())) == (2, filled(message, tmp_path))
