"""Rows of Hugging Face datasets, made here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data_utils.errors import UserError
from data_utils.registries import FORMATS
from data_utils.sources import HubSource, find_source
from data_utils.task_def import SourceDef, TaskDef
from tests.support.tasks import make_task

RENAMES = {"premise": "sentence1", "hypothesis": "sentence2"}


def task_of(source: SourceDef, **fields) -> TaskDef:
    fields = {"data_format": "PremiseAndOneHypothesis", "labels": ("no", "yes")} | fields
    return make_task(n_class=2, source=source, **fields)


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
