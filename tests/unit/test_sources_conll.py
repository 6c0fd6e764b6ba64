"""Files of CoNLL columns."""

from __future__ import annotations

from dataclasses import replace

import pytest

from data_utils.errors import UserError
from data_utils.inputs import read_rows
from data_utils.sources import ConllSource, find_source
from data_utils.sources.conll import COLUMNS
from data_utils.task_file import read_task_file

FILE = (
    "-DOCSTART- -X- O O\n\nEU NNP I-NP I-ORG\nrejects VBZ I-VP O\n \t\nPeter NNP I-NP I-PER\n"
    "-DOCSTART- -X- O O\n\n\nBlackburn NNP I-NP B-PER\r\n"
)


def rows(tmp_path, content, columns=None):
    (tmp_path / "x.conll").write_bytes(content.encode())
    return list(ConllSource(tmp_path / "x.conll", columns or {}).rows())


def test_a_blank_line_and_a_document_end_a_sentence(tmp_path):
    found = rows(tmp_path, FILE)
    assert [row.values["tokens"] for row in found] == [["EU", "rejects"], ["Peter"], ["Blackburn"]]
    assert [row.values["label"] for row in found] == [["I-ORG", "O"], ["I-PER"], ["B-PER"]]
    assert [row.values["uid"] for row in found] == ["0", "1", "2"]
    assert [row.where.rpartition(":")[2] for row in found] == ["3", "6", "10"]


def test_the_columns_are_numbered_from_1(tmp_path):
    (row, *_) = rows(tmp_path, FILE, {"label": "2", "tokens": "1"})
    assert row.values["label"] == ["NNP", "VBZ"]
    (row, *_) = rows(tmp_path, FILE, {"label": "-2"})
    assert row.values["label"] == ["I-NP", "I-VP"]


def test_words_may_hold_other_blanks_and_files_words_alone(tmp_path):
    (row,) = rows(tmp_path, "a\u00a0b\tO\n\u2028\tB-x\n")
    assert row.values["tokens"] == ["a\u00a0b", "\u2028"]
    (row,) = rows(tmp_path, "a\nb\n")
    assert row.values["label"] == ""


def test_comments_before_a_sentence_are_no_words(tmp_path):
    multiconer = "# id 17 domain=dev\nEU _ _ B-X\n# _ _ O\n\n# id 18 domain=dev\nb _ _ O\n"
    found = [row.values["tokens"] for row in rows(tmp_path, multiconer)]
    assert found == [["EU", "#"], ["b"]]
    universal = "# sent_id = 1\n# text = A cat\nA\tDET\n\n# a remark here\n#\tSYM\ncat\tX\n"
    found = [row.values["tokens"] for row in rows(tmp_path, universal)]
    assert found == [["A"], ["#", "cat"]]
    (row,) = rows(tmp_path, "# O\na O\n")  # a word at the start of the file
    assert row.values["tokens"] == ["#", "a"]


@pytest.mark.parametrize(
    ("content", "columns", "message"),
    [
        ("a O\nb\n", {}, r"x\.conll:2: 1 columns; the lines before it have 2"),
        ("a O\n\nb X O\n", {}, r"x\.conll:3: 3 columns; the lines before it have 2"),
        ("\na O\n", {"label": "4"}, r"x\.conll:2: 2 columns.*column 4 \(for 'label'\)"),
    ],
)
def test_a_mistake_names_file_and_line(tmp_path, content, columns, message):
    with pytest.raises(UserError, match=message):
        rows(tmp_path, content, columns)


def test_a_task_names_the_file_and_the_columns(tmp_path):
    entry = (
        "t: {data_format: Sequence, task_type: SequenceLabeling, labels: [O, I-ORG], "
        "metric_meta: [SeqEval], source: {files: {train: x.txt}, columns: {label: %s}}}\n"
    )
    (tmp_path / "x.txt").write_text(FILE)
    (tmp_path / "tasks.yml").write_text(entry % 2)
    task = read_task_file(tmp_path / "tasks.yml", lambda task: task)["t"]
    source = find_source(task, "train", tmp_path)
    assert next(iter(source.rows())).values["label"] == ["NNP", "VBZ"]
    assert source.fingerprint() != ConllSource(tmp_path / "x.txt", COLUMNS).fingerprint()
    for wrong in (0, "tag"):
        (tmp_path / "tasks.yml").write_text(entry % wrong)
        with pytest.raises(UserError, match=r"columns: label: .*from 1; -1 is the last"):
            read_task_file(tmp_path / "tasks.yml", lambda task: task)


@pytest.mark.parametrize(
    ("source", "label"),
    [("files: {train: x.conll}, columns: {label: 2}", ["A", "B"]), ("hub: x", ["O", "I"])],
)
def test_rows_to_predict_have_the_columns_of_the_tasks_source(tmp_path, source, label):
    entry = (
        "t: {data_format: Sequence, task_type: SequenceLabeling, labels: [O, I], "
        f"metric_meta: [ACC], source: {{{source}}}}}\n"
    )
    (tmp_path / "tasks.yml").write_text(entry)
    task = read_task_file(tmp_path / "tasks.yml", lambda task: task)["t"]
    (row, other) = read_rows(["one A O\n", "two B I\n", "\n", "x C O"], name="new.bio", task=task)
    assert (row.values["tokens"], row.values["label"]) == (["one", "two"], label)
    assert (other.values["uid"], other.where) == ("1", "new.bio:4")
    (row,) = read_rows(["New York\n"], name="new.txt", task=task)
    assert row.values["tokens"] == "New York"
    pair = replace(task, data_format="PremiseOnly")
    with pytest.raises(UserError, match=r"new\.bio: .*PremiseOnly of task 't' does not read"):
        list(read_rows(["a O\n"], name="new.bio", task=pair))
