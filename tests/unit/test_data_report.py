"""What is counted of a data set's rows, and the table of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from data_utils.sources import find_source
from data_utils.store import TaskStore, ensure_store
from mt_dnn.runs.stores import data_table
from mt_dnn.task_types import load_tasks

TASKS = """\
cls: {data_format: PremiseOnly, task_type: Classification, labels: ["no", "yes"], metric_meta: [ACC]}
num: {data_format: PremiseOnly, task_type: Regression, n_class: 1, metric_meta: [Pearson]}
rank: {data_format: PremiseAndMultiHypothesis, task_type: Ranking, n_class: 2, metric_meta: [ACC]}
tags: {data_format: PremiseOnly, task_type: MultiLabel, labels: [red, blue], metric_meta: [F1]}
words: {data_format: Sequence, task_type: SequenceLabeling, labels: [O, B-x], metric_meta: [ACC]}
span: {data_format: MRC, task_type: Span, metric_meta: [EmF1]}
"""
Table = Callable[..., list[str]]


@pytest.fixture
def table(tmp_path: Path, tokenizer) -> Table:
    """``table("cls", train=rows, dev=rows)``: the lines, FOLDER in place of the folder."""

    def make(task: str, *, suffix: str = "tsv", **splits: str) -> list[str]:
        (tmp_path / "tasks.yml").write_text(TASKS)
        definition = load_tasks(tmp_path / "tasks.yml")[task]
        stores: list[TaskStore] = []
        for split, rows in splits.items():
            (tmp_path / f"{task}_{split}.{suffix}").write_text(rows)
            stores.append(
                ensure_store(
                    definition,
                    split,
                    source=find_source(definition, split, tmp_path),
                    tokenizer=tokenizer,
                    max_seq_len=8,
                    store_dir=tmp_path / "store",
                )
            )
        return [line.replace(str(tmp_path), "FOLDER") for line in data_table(stores)]

    return make


def test_nothing_odd(table: Table) -> None:
    assert table("cls", train="a\tno\tgood day\nb\tyes\tbad night\n") == [
        "data set   rows  labels       longest",
        "cls_train  2     no 1, yes 1  4",
    ]


def test_every_problem_with_its_first_lines(table: Table) -> None:
    train = "a\tno\tgood day\na\tno\tgood day\n\tno\t \nb\t-\tday\nc\tno\tday bad night day bad day day\n"
    assert table("cls", train=train, dev="a\tyes\tgood day\nb\tno\t漢\nc\tno\tgood day\n") == [
        "data set   rows  labels       longest  truncated  dropped  [UNK]  problems",
        "cls_train  5     no 4         8        1          1               5",
        "cls_dev    3     no 2, yes 1  4                            9.1%   3",
        "cls_train: empty uid: 1 (FOLDER/cls_train.tsv:3)",
        "cls_train: empty text: 1 (FOLDER/cls_train.tsv:3)",
        "cls_train: same text: 1 (FOLDER/cls_train.tsv:2)",
        "cls_train: same uid: 1 (FOLDER/cls_train.tsv:2)",
        "cls_train: all labels are no: 1 (FOLDER/cls_train.tsv)",
        "cls_dev: same text: 1 (FOLDER/cls_dev.tsv:3)",
        "cls_dev: text also in cls_train: 2 (FOLDER/cls_dev.tsv:1, FOLDER/cls_dev.tsv:3)",
        "cls_dev: 9% of the tokens are unknown to the tokenizer, which may not fit the language",
    ]


def test_at_most_three_lines_are_listed(table: Table) -> None:
    lines = table("cls", train="".join(f"{i}\t{('no', 'yes')[i % 2]}\tday\n" for i in range(6)))
    assert lines[2:] == [
        "cls_train: same text: 5 (FOLDER/cls_train.tsv:2, FOLDER/cls_train.tsv:3, "
        "FOLDER/cls_train.tsv:4, ...)"
    ]


@pytest.mark.parametrize(
    ("task", "rows", "labels"),
    [
        ("num", "a\t1\tgood\nb\t2.5\tday\nc\t1\tbad\n", "1 to 2.5, mean 1.5, 2 distinct"),
        ("tags", "a\tred,blue\tgood\nb\tred\tday\nc\t[]\tbad\n", "red 2, blue 1"),
        ("words", "a\tO B-x\tgood day\nb\tO\tday\n", "O 2, B-x 1"),
        ("span", "a\t0:::4:::0:::good\tgood day\twhat\n", ""),
    ],
)
def test_labels(table: Table, task: str, rows: str, labels: str) -> None:
    header, line, *_ = table(task, train=rows)
    assert ("labels" in header) == bool(labels)
    assert labels in line


def test_candidates_that_teach_nothing(table: Table) -> None:
    rows = "a\tx,y\t0,0\tgood\tday\tnight\nb\tx\t1\tbad\tday\nc\tx,y\t1,0\tday\ta\tb\n"
    assert table("rank", train=rows)[2:] == [
        "rank_train: no relevant candidate: 1 (FOLDER/rank_train.tsv:1)",
        "rank_train: one candidate: 1 (FOLDER/rank_train.tsv:2)",
    ]


def test_keys_of_json_rows_that_nothing_reads(table: Table) -> None:
    rows = (
        '{"idx": 7, "label": "no", "premise": "good", "hypotesis": "x"}\n'
        '{"label": "yes", "premise": "bad", "hypotesis": "y", "genre": "z"}\n'
    )
    assert table("cls", suffix="jsonl", train=rows)[2:] == [
        "cls_train: unused key 'hypotesis': 2 (FOLDER/cls_train.jsonl:1, FOLDER/cls_train.jsonl:2)",
        "cls_train: unused key 'genre': 1 (FOLDER/cls_train.jsonl:2)",
    ]


def test_a_store_of_an_older_version_has_no_report(table: Table, tmp_path: Path) -> None:
    table("cls", train="a\tno\tday\nb\tyes\tday\n")
    store = TaskStore(tmp_path / "store" / "cls_train")
    store.manifest.report.clear()
    assert list(data_table([store])) == ["data set   rows  longest", "cls_train  2     3"]
