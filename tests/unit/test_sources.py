"""Rows from TSV, JSON lines and Hugging Face datasets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data_utils.canonical import write_rows
from data_utils.errors import UserError
from data_utils.registries import FORMATS
from data_utils.sources import FileSource, HubSource, find_source
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


# Hugging Face datasets, made here.

RENAMES = {"premise": "sentence1", "hypothesis": "sentence2"}


def hub(folder: Path, **keys) -> HubSource:
    source = SourceDef(hub=str(folder), columns=RENAMES, splits={"dev": "validation"}, **keys)
    found = find_source(task_of(source), keys.pop("split", "dev"), "data")
    assert isinstance(found, HubSource)
    return found


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    """A dataset of ``save_to_disk`` with label classes, and a row that has none."""
    from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

    features = Features(
        {
            "sentence1": Value("string"),
            "sentence2": Value("string"),
            "label": ClassLabel(names=["yes", "no"]),  # not in the task's order
            "idx": Value("int32"),
        }
    )

    def split(labels: list[int | None]) -> Dataset:
        count = len(labels)
        columns = {
            "sentence1": [f"p{i}" for i in range(count)],
            "sentence2": [f"h{i}" for i in range(count)],
            "label": labels,
            "idx": [10 + i for i in range(count)],
        }
        return Dataset.from_dict(columns, features=features)

    folder = tmp_path_factory.mktemp("hub") / "saved"
    splits = {"train": [0, 1], "validation": [1, 0, None], "test": [-1, -1]}
    DatasetDict({name: split(labels) for name, labels in splits.items()}).save_to_disk(folder)
    return folder


def test_a_saved_dataset_gives_label_words(saved):
    source = hub(saved)
    rows = [row.values for row in source.rows()]
    assert [row["label"] for row in rows] == ["no", "yes", ""]
    assert rows[1]["premise"] == "p1"
    assert rows[1]["hypothesis"] == "h1"
    assert rows[1]["uid"] == "11"
    assert next(iter(source.rows())).where == f"{saved}:validation, row 0"


def test_without_label_words_the_ids_are_taken(saved):
    task = task_of(SourceDef(hub=str(saved), columns=RENAMES), labels=())
    rows = find_source(task, "train", "data").rows()
    assert [row.values["label"] for row in rows] == [0, 1]


def test_minus_one_is_no_label(saved):
    task = task_of(SourceDef(hub=str(saved), columns=RENAMES))
    rows = find_source(task, "test", "data").rows()
    assert [row.values["label"] for row in rows] == ["", ""]


def saved_dataset(folder: Path, label, labels: list, **columns: list) -> Path:
    from datasets import Dataset, DatasetDict, Features, Value

    columns = {name: (kind, values) for name, (kind, values) in columns.items()}
    columns = columns or {"premise": (Value("string"), [f"p{i}" for i in range(len(labels))])}
    features = Features({name: kind for name, (kind, _) in columns.items()} | {"label": label})
    values = {name: values for name, (_, values) in columns.items()} | {"label": labels}
    DatasetDict({"test": Dataset.from_dict(values, features=features)}).save_to_disk(folder)
    return folder


def labels_of(folder: Path, **fields) -> list:
    task = task_of(SourceDef(hub=str(folder)), data_format="PremiseOnly", **fields)
    return [row.values["label"] for row in find_source(task, "test", "data").rows()]


@pytest.mark.parametrize("depth", [1, 2])
def test_lists_of_class_ids_become_the_names_of_the_feature(tmp_path, depth):
    from datasets import ClassLabel, Sequence

    feature = ClassLabel(names=["1", "2", "0"])
    labels, words, hidden = [1, 2, 0], ["2", "0", "1"], [-1, -1]
    for _ in range(depth):
        feature = Sequence(feature)
    if depth == 2:
        labels, words, hidden = [labels, [0]], [words, ["1"]], [hidden, [-1]]
    folder = saved_dataset(tmp_path / "lists", feature, [labels, [], hidden])
    assert labels_of(folder) == [words, [], ""]
    assert labels_of(folder, labels=()) == [labels, [], ""]


def test_words_with_class_ids_are_read_with_the_task_s_labels(tmp_path):
    from datasets import ClassLabel, Sequence, Value

    tokens = (Sequence(Value("string")), [["a", "b", "c"]])
    feature = Sequence(ClassLabel(names=["1", "2", "0"]))
    folder = saved_dataset(tmp_path / "words", feature, [[1, 2, 0]], tokens=tokens)
    task = make_task(
        "SequenceLabeling",
        labels=("0", "1", "2"),
        source=SourceDef(hub=str(folder)),
        metrics=("ACC",),
    )
    (row,) = find_source(task, "test", "data").rows()
    assert FORMATS.get(task.data_format).parse(row, task).label == [2, 0, 1]


@pytest.mark.parametrize("kind", ["float32", "float64", "int64"])
def test_numbers_that_are_all_minus_one_are_hidden_labels(tmp_path, kind):
    from datasets import Value

    folder = saved_dataset(tmp_path / "hidden", Value(kind), [-1, -1])
    with pytest.warns(UserWarning, match=r"hidden:test: column 'label' is -1 in all rows"):
        assert labels_of(folder) == ["", ""]


def test_a_number_that_is_minus_one_is_a_label_beside_others(tmp_path):
    from datasets import Value

    folder = saved_dataset(tmp_path / "numbers", Value("float32"), [-1, 2.5])
    assert labels_of(folder) == [-1, 2.5]


@pytest.mark.parametrize("text", ["NA", "null", "nan", "None", "n/a"])
def test_a_csv_cell_that_looks_missing_is_a_text(tmp_path, text, monkeypatch):
    import datasets.config

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "validation.csv").write_text(
        f"sentence1,sentence2,label\n{text},{text},{text}\na,b,\n"
    )
    first, second = hub(folder).rows()
    for column in ("premise", "hypothesis", "label"):
        assert first.values[column] == text
    assert second.values["label"] == ""


def test_a_missing_split_names_those_there_are(saved):
    task = task_of(SourceDef(hub=str(saved), columns=RENAMES))
    with pytest.raises(UserError) as error:
        list(find_source(task, "dev", "data").rows())
    for word in ("no split 'dev'", "train, validation, test", "splits: {dev: validation}"):
        assert word in str(error.value)


def test_a_missing_column_names_those_there_are(saved):
    task = task_of(SourceDef(hub=str(saved), columns={"premise": "question"}))
    with pytest.raises(UserError, match=r"row 0: column 'question' .*sentence1, sentence2"):
        list(find_source(task, "train", "data").rows())


def test_a_dataset_saved_without_splits_is_the_train_split(tmp_path):
    from datasets import Dataset

    Dataset.from_dict({"sentence1": ["a"], "sentence2": ["b"], "label": ["no"]}).save_to_disk(
        tmp_path / "one"
    )
    task = task_of(SourceDef(hub=str(tmp_path / "one"), columns=RENAMES))
    assert len(list(find_source(task, "train", "data").rows())) == 1
    with pytest.raises(UserError, match="no split 'dev'; it has train"):
        list(find_source(task, "dev", "data").rows())


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_folder_of_data_files(tmp_path, kind, monkeypatch):
    import datasets.config

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "files"
    folder.mkdir()

    def write(label: str) -> None:
        csv = f'sentence1,sentence2,label\n"a, b",c,{label}\n'
        line = json.dumps({"sentence1": "a, b", "sentence2": "c", "label": label}) + "\n"
        for split in ("train", "validation"):
            (folder / f"{split}.{kind}").write_text(csv if kind == "csv" else line)

    write("yes")
    source = hub(folder)
    (row,) = source.rows()
    assert (row.values["premise"], row.values["label"]) == ("a, b", "yes")
    before = source.fingerprint()
    assert hub(folder).fingerprint() == before
    write("no!")
    assert hub(folder).fingerprint() != before


def test_the_column_map_is_part_of_the_fingerprint(saved):
    swapped = SourceDef(
        hub=str(saved),
        columns={"premise": "sentence2", "hypothesis": "sentence1"},
        splits={"dev": "validation"},
    )
    other = find_source(task_of(swapped), "dev", "data")
    assert hub(saved).fingerprint() == hub(saved).fingerprint() != other.fingerprint()


def test_a_folder_that_holds_no_dataset(tmp_path):
    with pytest.raises(UserError, match="cannot be loaded"):
        list(hub(tmp_path).rows())
