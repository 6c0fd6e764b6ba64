"""Damaged task files, run files, table files and rows."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from data_utils import strict_json
from data_utils.inputs import parse_row, read_rows
from data_utils.soft_labels import SoftLabels
from data_utils.sources import FileSource, find_source
from data_utils.task_def import TaskDef
from data_utils.token_rows import import_rows, is_tokenized
from data_utils.utf8 import open_lines
from mt_dnn.config.bounds import resolve_config
from mt_dnn.config.parser import parse_config
from mt_dnn.tables.file import load_table
from mt_dnn.tables.plan import plan
from mt_dnn.task_types import load_tasks
from tests.bad_input.folder import ROWS, TASKS, write_folder
from tests.fuzz.damage import attempt, damaged, fuzz
from tests.support.table_file import FILE

RUN = b"""\
name: r
seed: 3
data: {tasks: tasks.yml, use: [a, b], max_seq_len: 64, train_limits: {a: 10}}
optim:
  lr: 1.0e-4
  betas: [0.9, 0.98]
  schedule: linear
smart: smart
smoothness: {epsilon: 1.0e-5, weight: 1}
trackers: [tensorboard]
"""
MORE = b"""\
t: &t
  data_format: MRC
  task_type: Span
  metric_meta: [EmF1]
  options: {stride: 64}
  source: {files: {train: a.tsv}}
u: {extends: t, weight: 0.5, dropout_p: 0.1, max_seq_len: 64, split_names: [train, x_dev]}
v: {<<: *t, head: t, actf: gelu, pooling: mean}
"""
Tasks = dict[str, TaskDef]
TOKENS = (
    b'{"uid": "a", "label": 1, "token_id": [2, 5, 3], "type_id": [0, 0, 1]}\n'
    b'{"uid": "b", "label": 0, "token_id": [2, 3], "type_id": [0, 0]}\n'
)
JSON = (
    b'{"uid": 1, "label": [1, 0], "premise": "x y", "hypothesis": ["a", "b"], "ruid": "p,q"}\n'
    b'{"idx": 2, "label": "1,0", "premise": "\xc3\xa9\\u00e9", "hypothesis": ["a", "b"]}\n'
)


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Tasks:
    folder = tmp_path_factory.mktemp("tasks")
    write_folder(folder)
    return load_tasks(folder / "tasks.yml")


@fuzz(70)
@given(data=st.one_of(damaged(TASKS.encode()), damaged(MORE), st.text().map(str.encode)))
def test_task_files(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "tasks.yml").write_bytes(data)
    attempt(lambda: load_tasks(tmp_path / "tasks.yml"))


@fuzz(25)
@given(data=st.one_of(damaged(RUN), st.text().map(str.encode)))
def test_run_files(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "run.yml"
    path.write_bytes(data)
    attempt(lambda: resolve_config(parse_config(["--config", str(path)])))


@fuzz(40)
@given(data=damaged(yaml.safe_dump(FILE).encode()))
def test_table_files(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "t.yml"
    path.write_bytes(data)
    attempt(lambda: plan(load_table(path)))


@fuzz(100)
@given(task=st.sampled_from(sorted(ROWS)), data=st.data())
def test_tsv_rows(tmp_path: Path, tasks: Tasks, task: str, data: st.DataObject) -> None:
    definition = tasks[task]
    path = tmp_path / f"{task}_train.tsv"
    path.write_bytes(data.draw(damaged("\n".join(ROWS[task]).encode())))
    source = find_source(definition, "train", tmp_path)
    attempt(lambda: [parse_row(row, definition) for row in source.rows()])

    def read() -> None:
        with open_lines(path) as lines:
            for row in read_rows(lines, name=str(path), task=definition):
                parse_row(row, definition)

    attempt(read)


@fuzz(100)
@given(data=damaged(JSON))
def test_json_rows(tmp_path: Path, tasks: Tasks, data: bytes) -> None:
    task = tasks["rank"]
    path = tmp_path / "x.jsonl"
    path.write_bytes(data)
    attempt(lambda: [parse_row(row, task) for row in FileSource(path, (), {}).rows()])


@fuzz(100)
@given(data=damaged(TOKENS))
def test_token_rows(tmp_path: Path, tasks: Tasks, data: bytes) -> None:
    task = tasks["ids"]
    path = tmp_path / "x.json"
    path.write_bytes(data)

    def read() -> None:
        rows = [row for row in FileSource(path, (), {}).rows() if is_tokenized(row)]
        if rows:
            import_rows(rows, task, vocabulary=100, max_seq_len=16)

    attempt(read)


@fuzz(60)
@given(data=damaged(b'{"uid": "a", "logits": [0.1, 0.2]}\n{"uid": "b", "logits": [1, 2]}\n'))
def test_soft_labels(tmp_path: Path, tasks: Tasks, data: bytes) -> None:
    task = tasks["pair"]
    (tmp_path / "x.jsonl").write_bytes(data)
    attempt(lambda: SoftLabels(tmp_path / "x.jsonl", task, source="rows.tsv"))


FINITE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@fuzz(100)
@given(value=FINITE)
def test_json_is_read_as_written(value: object) -> None:
    text = strict_json.dumps(value)
    assert strict_json.dumps(strict_json.loads(text)) == text
