"""Rows of TSV and JSON lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data_utils.canonical import write_rows
from data_utils.errors import UserError
from data_utils.sources import FileSource, find_source
from data_utils.task_def import SourceDef, TaskDef
from tests.support.tasks import make_task

COLUMNS = ("uid", "label", "premise", "hypothesis")


def task_of(source: SourceDef | None = None, **fields) -> TaskDef:
    fields = {"data_format": "PremiseAndOneHypothesis", "labels": ("no", "yes")} | fields
    return make_task(n_class=2, source=source, **fields)


def rows_of(path: Path, content: str | bytes, columns=COLUMNS, renames=None) -> list[dict]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [row.values for row in FileSource(path, columns, renames or {}).rows()]


def test_tsv_by_position(tmp_path):
    rows = rows_of(tmp_path / "x.tsv", "1\tyes\ta b\tc\n2\tno\td\te\n")
    assert rows[0] == {"uid": "1", "label": "yes", "premise": "a b", "hypothesis": "c"}
    assert [row["uid"] for row in rows] == ["1", "2"]


def test_a_text_keeps_quotes_and_unicode_line_ends(tmp_path):
    text = "he said \"so, \u2028 then\x85\x0b\x0c\x1c\u2029 'no\r way"
    (row,) = rows_of(tmp_path / "x.tsv", f'1\tyes\t"{text}\t{text}"\n')
    assert row["premise"] == f'"{text}'
    assert row["hypothesis"] == f'{text}"'
    (row,) = rows_of(tmp_path / "x.jsonl", json.dumps({"premise": text}, ensure_ascii=False))
    assert row["premise"] == text


def test_windows_line_ends_byte_order_mark_and_empty_lines(tmp_path):
    rows = rows_of(tmp_path / "x.tsv", b"\xef\xbb\xbf1\tyes\ta\tb\r\n\r\n\n2\tno\tc\td")
    assert [tuple(row.values()) for row in rows] == [
        ("1", "yes", "a", "b"),
        ("2", "no", "c", "d"),
    ]


def test_the_last_column_may_repeat(tmp_path):
    columns = ("uid", "label", "premise", "hypothesis*")
    rows = rows_of(tmp_path / "x.tsv", "1\t0,1\ta\tb\tc\n2\t1\ta\tb\n", columns)
    assert [row["hypothesis"] for row in rows] == [["b", "c"], ["b"]]
    with pytest.raises(UserError, match=r"x\.tsv:1: 3 columns; expected at least 4.*1 \.\. N"):
        rows_of(tmp_path / "x.tsv", "1\t0,1\ta\n", columns)


@pytest.mark.parametrize("line", ["1\tyes\ta", "1\tyes\ta\tb\tc", "1 yes a b", "\t"])
def test_a_wrong_number_of_columns_names_the_line(tmp_path, line):
    with pytest.raises(UserError, match=r"x\.tsv:3: \d columns; expected 4.*premise, hypothesis"):
        rows_of(tmp_path / "x.tsv", f"1\tyes\ta\tb\n\n{line}\n")


@pytest.mark.parametrize("suffix", [".tsv", ".jsonl"])
def test_a_file_that_is_not_utf8(tmp_path, suffix):
    row = '{"premise": "a"}\n' if suffix == ".jsonl" else "1\tyes\ta\tb\n"
    content = (row * 5000).encode() + "1\tyes\té\tb\n".encode("latin-1")
    with pytest.raises(UserError, match=rf"x\{suffix}:5001: not UTF-8: byte 0xe9 after '1.tyes"):
        rows_of(tmp_path / f"x{suffix}", content)


def test_json_lines(tmp_path):
    rows = rows_of(
        tmp_path / "x.jsonl",
        '{"s1": "a", "s2": "b", "label": 1, "idx": 40}\n{"s1": "c", "s2": "d"}\n',
        renames={"premise": "s1", "hypothesis": "s2"},
    )
    assert rows[0]["premise"] == "a"
    assert [row["uid"] for row in rows] == ["40", "1"]
    assert [row["label"] for row in rows] == [1, ""]


@pytest.mark.parametrize(
    ("line", "message"),
    [("{", "not JSON"), ("[1]", "expected a JSON object, found list"), ('{"a": 1}', "'s1'")],
)
def test_a_bad_json_line_is_named(tmp_path, line, message):
    with pytest.raises(UserError, match=rf"x\.jsonl:2: .*{message}"):
        rows_of(tmp_path / "x.jsonl", '{"s1": "a"}\n' + line, renames={"premise": "s1"})


def test_a_column_map_may_swap_two_columns(tmp_path):
    swap = {"premise": "hypothesis", "hypothesis": "premise"}
    (row,) = rows_of(tmp_path / "x.jsonl", '{"premise": "a", "hypothesis": "b"}', renames=swap)
    assert (row["premise"], row["hypothesis"]) == ("b", "a")


def test_the_fingerprint_follows_rows_and_column_map(tmp_path):
    def fingerprint(content: str, renames: dict[str, str]) -> str:
        (tmp_path / "x.jsonl").write_text(content)
        return FileSource(tmp_path / "x.jsonl", COLUMNS, renames).fingerprint()

    seen = [
        fingerprint("{}", {}),
        fingerprint("{ }", {}),
        fingerprint("{}", {"premise": "a"}),
        fingerprint("{}", {"premise": "b"}),
    ]
    assert len(set(seen)) == 4
    assert fingerprint("{}", {}) == seen[0]


def test_where_rows_are_looked_for(tmp_path):
    task = task_of()
    assert find_source(task, "dev", tmp_path) is None
    (tmp_path / "t_dev.jsonl").write_text("{}")
    assert find_source(task, "dev", tmp_path).name.endswith("t_dev.jsonl")
    (tmp_path / "t_dev.tsv").write_text("")
    with pytest.raises(UserError, match=r"t_dev are in several files: t_dev\.tsv, t_dev\.jsonl"):
        find_source(task, "dev", tmp_path)
    (tmp_path / "t_dev.jsonl").unlink()
    assert find_source(task, "dev", tmp_path).name.endswith("t_dev.tsv")


def test_files_of_the_task_file(tmp_path):
    task = task_of(SourceDef(files={"train": "sub/a.tsv", "test": str(tmp_path / "b.tsv")}))
    with pytest.raises(UserError, match=r"task 't': source: file .*a\.tsv does not exist"):
        find_source(task, "train", tmp_path)
    (tmp_path / "b.tsv").write_text("")
    assert find_source(task, "test", tmp_path / "elsewhere").name == str(tmp_path / "b.tsv")
    assert find_source(task, "dev", tmp_path) is None


def test_what_write_rows_writes_reads_back(tmp_path):
    write_rows(tmp_path / "t_dev.tsv", [("1", "yes", 'a\tb\u2028"c"\n', " d ")])
    (row,) = find_source(task_of(), "dev", tmp_path).rows()
    assert row.values["premise"] == 'a b "c"'
    assert row.values["hypothesis"] == "d"
