"""What new-task refuses, so that a run does not refuse it later, and what it must not lose."""

from __future__ import annotations

import json

import pytest
import yaml

from data_utils.errors import UserError
from data_utils.sources import FileSource
from mt_dnn.new_task.check_rows import check_rows
from mt_dnn.new_task.kind import find_kind
from mt_dnn.new_task.render import header, scalar
from mt_dnn.new_task.roles import find_roles
from mt_dnn.new_task.rows_file import read_rows_file
from mt_dnn.task_types import load_tasks
from tests.support.new_task import new_task

CSV = "label,text\n" + "".join(f"{'pn'[i % 2]},film number {i}\n" for i in range(20))
JSON = "".join(f'{{"label": "{"pn"[i % 2]}", "text": "film number {i}"}}\n' for i in range(20))


def test_a_file_that_is_read_is_not_replaced(here):
    (here / "data").mkdir()
    (here / "data" / "my_train.jsonl").write_text(JSON)
    with pytest.raises(UserError, match=r"my_train\.jsonl is read .* another --name than 'my'"):
        new_task("data/my_train.jsonl", "--overwrite")
    assert (here / "data" / "my_train.jsonl").read_text() == JSON


@pytest.mark.parametrize("name", ["1", "on", "null", "1e5"])
def test_a_name_that_yaml_reads_as_another_type(here, name):
    (here / "rows.csv").write_text(CSV)
    new_task("rows.csv", "--name", name)
    assert list(load_tasks(here / "tasks.yml", data_dir=here / "data")) == [name]


def test_rows_without_a_label_are_left_out_with_a_dev_file_too(here):
    (here / "rows.csv").write_text(CSV + ",no label\n")
    (here / "dev.csv").write_text(CSV)
    new_task("rows.csv", "--dev", "dev.csv")
    rows = FileSource(here / "data" / "rows_train.jsonl", (), {}).rows()
    assert [row.values["label"] for row in rows] == ["p", "n"] * 10
    (here / "dev.csv").write_text("label,text\n,one\n")
    with pytest.raises(UserError, match=r"dev\.csv: no row has a label"):
        new_task("rows.csv", "--dev", "dev.csv", "--overwrite")


def test_an_id_that_only_the_train_file_has_is_not_used(here):
    lines = CSV.splitlines()
    with_id = [f"id,{lines[0]}", *(f"{i},{line}" for i, line in enumerate(lines[1:]))]
    (here / "rows.csv").write_text("\n".join(with_id))
    (here / "dev.csv").write_text(CSV)
    new_task("rows.csv", "--dev", "dev.csv")
    entry = yaml.safe_load((here / "tasks.yml").read_text())["rows"]
    assert entry["source"]["columns"] == {"premise": "text", "label": "label"}


@pytest.mark.parametrize("option", ["--dev", "--test"])
@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_another_file_has_the_columns_of_the_train_file(here, option, suffix):
    (here / "rows.csv").write_text(CSV)
    content = CSV if suffix == "csv" else JSON
    (here / f"more.{suffix}").write_text(content.replace("text", "body"))
    with pytest.raises(UserError, match=rf"more\.{suffix}: there is no column 'text'"):
        new_task("rows.csv", option, f"more.{suffix}")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (CSV + "p,a\0b\n", r":22: column 'text' contains the character NUL"),
        (CSV + "p\n", r":22: 1 columns; the header has 2"),
        ("text,label,text\na b,p,c\n", r":1: two columns are named 'text'"),
        (",label,text\n0,p,a b\n", r":1: column 1 of the first line has no name.*index=False"),
        ("", r": the file is empty"),
        ("label,text\n1.5,a b\n1.5,a c\n", r": all labels of column 'label' are '1.5'"),
        ("label,text\n1e400,a b\n1.5,a c\n", r":2: label '1e400' is not a number below"),
        ('label,text\n"a,b",x y\nb,z\n"a,",q\na,r\n', r":4: label 'a,' has a comma with no label"),
    ],
)
def test_files_of_cells(tmp_path, content, message):
    (tmp_path / "rows.csv").write_text(content)
    with pytest.raises(UserError, match=r"rows\.csv" + message):
        _check(tmp_path / "rows.csv")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"label": "p", "text": None}, "column 'text' is null"),
        ({"label": "p"}, "column 'text' is missing"),
        ({"label": "p", "text": ["a", "list"]}, "column 'text' contains a list"),
    ],
)
def test_json_lines(tmp_path, values, message):
    (tmp_path / "rows.jsonl").write_text(JSON + json.dumps(values) + "\n")
    with pytest.raises(UserError, match=r"rows\.jsonl:21: " + message):
        _check(tmp_path / "rows.jsonl")


@pytest.mark.parametrize("texts", [("a", "b", "c"), ("a", "a"), ("a", "label")])
def test_columns_of_the_user_have_one_role_each(tmp_path, texts):
    (tmp_path / "rows.csv").write_text("label,a,b,c\np,x,y,z\nn,x,y,z\n")
    with pytest.raises(UserError, match=r"one or two texts|each column has one role"):
        find_roles(read_rows_file(tmp_path / "rows.csv"), label="label", texts=texts)


def test_a_folder_is_not_missing(tmp_path):
    with pytest.raises(UserError, match="is a folder"):
        read_rows_file(tmp_path)


@pytest.mark.parametrize("character", ["\n", "\x85", "\u2028", "\u2029"])
def test_characters_that_end_a_line_of_yaml(character):
    value = [f"a{character}b", "\U0001f600"]
    assert yaml.safe_load(scalar(value)) == value
    assert yaml.safe_load(header(f"Columns: a{character}b: 1")) is None


def test_digits_of_other_scripts_are_no_numbers(tmp_path):
    (tmp_path / "rows.csv").write_text("label,text\n" + "\u0663,a b\n\u0664,c d\n5.5,e f\n" * 3)
    roles = find_roles(read_rows_file(tmp_path / "rows.csv"))
    assert find_kind(read_rows_file(tmp_path / "rows.csv"), roles).name == "Classification"


def _check(path):
    file = read_rows_file(path)
    roles = find_roles(file)
    check_rows(file, "train", roles, find_kind(file, roles))
