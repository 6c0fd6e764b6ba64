"""CSV and TSV files with a header."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_utils.errors import UserError
from data_utils.inputs import read_rows
from data_utils.sources import find_source
from data_utils.task_file import read_task_file

ENTRY = """\
t:
  data_format: PremiseAndOneHypothesis
  task_type: Classification
  labels: ['no', 'yes']
  metric_meta: [ACC]
  source: {%s}
"""
CSV = "files: {train: x.csv, test: x.csv}, columns: {premise: a, hypothesis: b, label: gold}"
TSV = "files: {train: x.tsv}, header: true, columns: {premise: a, hypothesis: b, label: gold}"


def rows(folder: Path, content: str | bytes, source: str = CSV, split: str = "train") -> list:
    (folder / "tasks.yml").write_text(ENTRY % source)
    task = read_task_file(folder / "tasks.yml", lambda task: task)["t"]
    name = source.partition("train: ")[2].partition("}")[0].partition(",")[0]
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(find_source(task, split, folder).rows())


def test_cells_are_quoted_as_csv_has_them(tmp_path):
    found = rows(
        tmp_path,
        b'\xef\xbb\xbfgold,a,b,rest\r\n\r\nyes,"one, two","he said ""x""\r\nthen left",1\r\nno,c,d,2\r\n',
    )
    assert [row.where.rpartition(":")[2] for row in found] == ["3", "5"]
    assert found[0].values["premise"] == "one, two"
    assert found[0].values["hypothesis"] == 'he said "x"\r\nthen left'
    assert [row.values["label"] for row in found] == ["yes", "no"]
    assert [row.values["uid"] for row in found] == ["0", "1"]


def test_a_tsv_with_a_header_keeps_its_quotes(tmp_path):
    (row,) = rows(tmp_path, 'gold\ta\tb\nyes\t"one\tb "two"\n', TSV)
    assert (row.values["premise"], row.values["hypothesis"]) == ('"one', 'b "two"')
    (row,) = rows(tmp_path, 'gold\ta\tb\nyes\t"one\ttwo"\tb\n', TSV + ", quoting: true")
    assert row.values["premise"] == "one\ttwo"


def test_another_delimiter(tmp_path):
    (row,) = rows(tmp_path, "gold;a;b\nyes;c, d;e\n", CSV + ", delimiter: ';'")
    assert row.values["premise"] == "c, d"


def test_a_test_file_needs_no_labels(tmp_path):
    (row,) = rows(tmp_path, "a,b\nc,d\n", split="test")
    assert row.values["label"] == ""
    with pytest.raises(
        UserError, match=r"x\.csv:1: the header has no column 'gold' \(for 'label'\)"
    ):
        rows(tmp_path, "a,b\nc,d\n")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"x\.csv:1: the file has no header line"),
        ("gold,a,b\nyes,c,d\nno,e\n", r"x\.csv:3: 2 columns; the header has 3: gold, a, b"),
        ("gold,a,b\nyes,c, d, e\n", r"x\.csv:2: 4 columns.*stands in double quotes"),
        ('gold,a,b\nyes,"c,d\nno,e,f\n', r"x\.csv:2: unexpected end of data.*quoting: false"),
        ('gold,a,b\nyes,"c"d,e\n', r"x\.csv:2: .*expected after"),
        ("gold,a,a\n", r"x\.csv:1: the header has 'a' twice"),
        ("gold,aa,b\n", r"x\.csv:1: the header has no column 'a' \(for 'premise'\)\. Did you mean"),
    ],
)
def test_a_mistake_names_file_and_line(tmp_path, content, message):
    with pytest.raises(UserError, match=message):
        rows(tmp_path, content)


def test_bytes_that_are_not_utf8_name_their_line(tmp_path):
    with pytest.raises(UserError, match=r"x\.csv:2: not UTF-8: byte 0xe9"):
        rows(tmp_path, "gold,a,b\nyes,é,b\n".encode("latin-1"))


def test_the_fingerprint_follows_rows_and_settings(tmp_path):
    seen = set()
    for content, extra in (
        ("a", ""),
        ("b", ""),
        ("b", ", delimiter: ';'"),
        ("b", ", quoting: false"),
    ):
        (tmp_path / "x.csv").write_text(content)
        (tmp_path / "tasks.yml").write_text(ENTRY % (CSV + extra))
        task = read_task_file(tmp_path / "tasks.yml", lambda task: task)["t"]
        seen.add(find_source(task, "train", tmp_path).fingerprint())
    assert len(seen) == 4


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("files: {train: x.csv}, header: false", "header: a .csv file needs a header"),
        ("files: {train: x.jsonl}, header: true", "header: 'x.jsonl' is neither .csv nor .tsv"),
        ("files: {train: x.tsv}, quoting: true", "quoting: 'x.tsv' is no file with a header"),
        ("files: {train: x.csv}, delimiter: ab", "delimiter: 'ab' is not one character"),
        ("files: {train: x.csv}, quoting: 1", "quoting: 1 is not true or false"),
        ("files: {train: x.conll}", "CoNLL columns, which data_format PremiseAndOneHypothesis"),
    ],
)
def test_settings_that_do_not_fit_are_refused(tmp_path, source, message):
    with pytest.raises(UserError, match=f"tasks.yml:[67]: task 't': source: .*{message}"):
        rows(tmp_path, "", source)


@pytest.mark.parametrize(
    ("source", "header"), [(CSV, "b,a"), (TSV, "b,a"), (None, "hypothesis,premise")]
)
def test_csv_rows_to_predict_have_the_names_of_the_tasks_source(tmp_path, source, header):
    entry = ENTRY if source else ENTRY.replace("  source: {%s}\n", "")
    (tmp_path / "tasks.yml").write_text(entry % source if source else entry)
    task = read_task_file(tmp_path / "tasks.yml", lambda task: task)["t"]
    (row,) = read_rows([header + "\n", "one,two\n"], name="new.csv", task=task)
    assert (row.values["premise"], row.values["hypothesis"], row.values["label"]) == (
        "two",
        "one",
        "",
    )
    theirs = "a, b" if source else "premise, hypothesis"
    message = rf"new\.csv:1: the header has no column.* Rename the columns of the texts: {theirs}\."
    with pytest.raises(UserError, match=message):
        list(read_rows(["x,y\n", "one,two\n"], name="new.csv", task=task))


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("new.csv", ["said,then,meant\n", 'one,"two, three",no\n']),
        ("new.tsv", ["said\tthen\tmeant\n", "one\ttwo, three\tno\n"]),
        ("new.jsonl", ['{"said": "one", "then": "two, three", "meant": "no"}\n']),
    ],
)
def test_rows_to_predict_may_have_columns_of_any_name(tmp_path, name, lines):
    (tmp_path / "tasks.yml").write_text(ENTRY % CSV)
    task = read_task_file(tmp_path / "tasks.yml", lambda task: task)["t"]
    columns = {"premise": "said", "hypothesis": "then", "label": "meant"}
    (row,) = read_rows(lines, name=name, task=task, columns=columns)
    values = [row.values[own] for own in ("premise", "hypothesis", "label", "uid")]
    assert values == ["one", "two, three", "no", "0"]


@pytest.mark.parametrize(
    ("name", "columns", "message"),
    [
        ("new.csv", {"premis": "a"}, r"no column 'premis'\. Did you mean 'premise'"),
        ("<stdin>", {"premise": "a"}, r"<stdin> has no column names.*\.csv, \.tsv, \.jsonl"),
        ("new.csv", {"premise": "c"}, r"new\.csv:1: the header has no column 'c'"),
        (
            "new.jsonl",
            None,
            r"new\.jsonl:1: the row has no premise.*it has a, b.*--columns\.premise",
        ),
        ("new.jsonl", {"premise": "c"}, r"new\.jsonl:1: column 'c' \(for 'premise'\) is missing"),
    ],
)
def test_wrong_names_of_columns_are_refused(tmp_path, name, columns, message):
    (tmp_path / "tasks.yml").write_text(ENTRY % CSV)
    task = read_task_file(tmp_path / "tasks.yml", lambda task: task)["t"]
    lines = ['{"a": "one", "b": "two"}\n'] if name.endswith("jsonl") else ["a,b\n", "one,two\n"]
    with pytest.raises(UserError, match=message):
        list(read_rows(lines, name=name, task=task, columns=columns))
