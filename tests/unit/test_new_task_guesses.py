"""What new-task guesses from a file: dialect, columns, kind of task."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data_utils.errors import UserError
from mt_dnn.new_task.kind import Kind, check_labels, find_kind
from mt_dnn.new_task.roles import Roles, find_roles
from mt_dnn.new_task.rows_file import RowsFile, read_rows_file


def read(folder: Path, content: str, name: str = "rows.csv") -> RowsFile:
    (folder / name).write_text(content)
    return read_rows_file(folder / name)


def guess(folder: Path, content: str, name: str = "rows.csv", **own) -> tuple[Roles, Kind]:
    file = read(folder, content, name)
    roles = find_roles(file, **own)
    return roles, find_kind(file, roles)


def reviews(labels: list[str], header: str = "review,label") -> str:
    return header + "\n" + "".join(f'"film number {i}",{one}\n' for i, one in enumerate(labels))


@pytest.mark.parametrize(
    ("name", "content", "settings"),
    [
        ("x.csv", 'a,b\n"c, d",e\n', {}),
        ("x.csv", "a;b\nc, d;e\n", {"delimiter": ";"}),
        ("x.csv", 'a,b\n"c,d\ne,f\n', {"quoting": False}),
        ("x.tsv", 'a\tb\n"c\td\n', {"header": True}),
        ("x.tsv", 'a\tb\n"c ""x"" y"\td\n', {"header": True, "quoting": True}),
    ],
)
def test_the_dialect_of_a_file(tmp_path, name, content, settings):
    file = read(tmp_path, content, name)
    assert file.columns == ("a", "b")
    assert file.settings == settings


@pytest.mark.parametrize(
    "first", ["1,yes,a text", "label,label", "label,,text", "x," + "long " * 20]
)
def test_a_first_line_that_is_no_header(tmp_path, first):
    with pytest.raises(UserError, match=r"rows\.csv:1: "):
        read(tmp_path, first + "\n" + first + "\n")


def test_files_that_cannot_be_read(tmp_path):
    for name, message in (("x.xls", "rename or convert"), ("y.csv", "no such file")):
        (tmp_path / "x.xls").write_text("a")
        with pytest.raises(UserError, match=message):
            read_rows_file(tmp_path / name)
    with pytest.raises(UserError, match="has no rows"):
        read(tmp_path, "a,b\n")


def test_columns_with_known_names(tmp_path):
    roles, _ = guess(tmp_path, "id,question1,question2,is_duplicate,source\n1,a,b,0,x\n2,c,d,1,x\n")
    assert (roles.uid, roles.texts, roles.label) == (
        "id",
        ("question1", "question2"),
        "is_duplicate",
    )
    assert roles.unused == ("source",)
    assert not roles.why_texts.unsure
    assert not roles.why_label.unsure


def test_columns_without_known_names_are_guesses(tmp_path):
    rows = "".join(f"a long text {i},{'xy'[i % 2]},2020-01-0{i}\n" for i in range(8))
    roles, kind = guess(tmp_path, "what,how,when\n" + rows)
    assert (roles.texts, roles.label) == (("what",), "how")
    assert roles.why_label.unsure
    assert roles.why_texts.unsure
    assert kind.data_format.unsure


def test_the_user_names_the_columns(tmp_path):
    content = "title,text,label,score\n" + "".join(
        f"one {i},two {i},{i % 2},{i}.5\n" for i in range(4)
    )
    roles, kind = guess(tmp_path, content, label="score", texts=("text",))
    assert (roles.texts, roles.label, kind.name) == (("text",), "score", "Regression")
    roles, kind = guess(tmp_path, content)
    assert (roles.texts, roles.label, kind.name) == (("title", "text"), "label", "Classification")
    assert roles.why_label.unsure
    with pytest.raises(UserError, match=r"no column 'scores'\. Did you mean 'score'"):
        guess(tmp_path, content, label="scores")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\nx y z,q\nu v w,r\no p q,s\n", "no column looks like a label; name it with --label"),
        ("label,b\n1,x\n0,y\n", "no column looks like a text"),
        (reviews(["a"] * 4), "all labels of column 'label' are 'a'"),
        (reviews([f"l{i}" for i in range(50)]), "has 50 values in 50 rows: these are no classes"),
        (reviews([""] * 4), "column 'label' is empty"),
    ],
)
def test_what_cannot_be_guessed_is_an_error(tmp_path, content, message):
    with pytest.raises(UserError, match=message):
        guess(tmp_path, content)


@pytest.mark.parametrize(
    ("labels", "name", "values", "metrics", "unsure"),
    [
        (["b", "a", "", "-"], "Classification", ["a", "b"], ["ACC", "F1MAC"], False),
        (["0", "1", "1"], "Classification", ["0", "1"], ["ACC", "F1MAC"], False),
        (["a"] * 6 + ["b"] * 2, "Classification", ["a", "b"], ["F1MAC", "ACC", "MCC"], False),
        (["2", "1", "10"], "Classification", ["1", "2", "10"], ["ACC", "F1MAC"], True),
        (["1.5", "2", "-3e-1"], "Regression", None, ["Pearson", "Spearman"], False),
        ([str(i) for i in range(30)], "Regression", None, ["Pearson", "Spearman"], True),
        (['"a,b"', '"b,c"', "a", '"c,a"'], "MultiLabel", ["a", "b", "c"], ["F1MIC", "F1MAC"], True),
    ],
)
def test_the_kind_of_a_task(tmp_path, labels, name, values, metrics, unsure):
    _, kind = guess(tmp_path, reviews(labels))
    assert kind.name == name
    assert (kind.labels.value if kind.labels else None) == values
    assert kind.metrics.value == metrics
    assert kind.task_type.unsure == unsure
    assert kind.data_format.value == "PremiseOnly"


def test_stars_are_a_quantity_and_marked_as_a_guess(tmp_path):
    _, kind = guess(tmp_path, reviews(["1", "5", "3"], "review,stars"))
    assert kind.name == "Regression"
    assert kind.task_type.unsure
    assert "Classification" in kind.task_type.alternatives[0]


def test_json_lines_with_sets_and_words(tmp_path):
    rows = [{"text": "a b", "labels": ["x"]}, {"text": "c d", "labels": ["x", "y"]}]
    content = "".join(json.dumps(row) + "\n" for row in rows)
    _, kind = guess(tmp_path, content, "x.jsonl")
    assert (kind.name, kind.labels.value, kind.task_type.unsure) == (
        "MultiLabel",
        ["x", "y"],
        False,
    )
    content = json.dumps({"tokens": ["a", "b"], "ner_tags": ["O", "B-PER"]}) + "\n"
    _, kind = guess(tmp_path, content, "x.jsonl")
    assert (kind.name, kind.metrics.value) == ("SequenceLabeling", ["SeqEval"])
    with pytest.raises(UserError, match=r"x\.jsonl:2: .*a list of 1 words"):
        guess(tmp_path, content + '{"tokens": ["a"], "ner_tags": []}\n', "x.jsonl")


def test_conll_columns_without_entities(tmp_path):
    _, kind = guess(tmp_path, "The DT\ndog NN\n", "x.conll")
    assert (kind.data_format.value, kind.metrics.value) == ("Sequence", ["ACC", "F1MAC"])


def test_many_labels_are_left_to_auto(tmp_path):
    _, kind = guess(tmp_path, reviews([f"l{i % 101}" for i in range(303)]))
    assert kind.labels.value == "auto"


def test_a_label_that_train_lacks_is_named(tmp_path):
    _, kind = guess(tmp_path, reviews(["good", "bad"]))
    dev = read(tmp_path, reviews(["good", "", "goood"]), "dev.csv")
    with pytest.raises(
        UserError, match=r"dev\.csv:4: label 'goood' does not occur.*Did you mean 'good'"
    ):
        check_labels(dev, "label", kind)
