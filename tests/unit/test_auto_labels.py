"""``labels: auto`` takes all labels of the train split."""

from __future__ import annotations

import pytest

from data_utils.errors import UserError
from mt_dnn.task_types import load_tasks

ENTRY = "t: {data_format: %s, task_type: %s, labels: auto, metric_meta: [%s], split_names: [train, dev]}\n"
CLASSES = ENTRY % ("PremiseOnly", "Classification", "ACC")
SETS = ENTRY % ("PremiseOnly", "MultiLabel", "F1MIC")
WORDS = ENTRY % ("Sequence", "SequenceLabeling", "SeqEval")


def labels(folder, entry: str, train: str) -> tuple[str, ...]:
    (folder / "tasks.yml").write_text(entry)
    (folder / "t_train.tsv").write_text(train)
    task = load_tasks(folder / "tasks.yml", data_dir=folder)["t"]
    assert task.n_class == len(task.labels)
    return task.labels


@pytest.mark.parametrize(
    ("entry", "train", "expected"),
    [
        (CLASSES, "1\tspam\ta\n2\tham \tb\n3\t-\tc\n4\tspam\td\n", ("ham", "spam")),
        (CLASSES, "1\t10\ta\n2\t9\tb\n3\t-1\tc\n", ("-1", "9", "10")),
        (CLASSES, "1\t10\ta\n2\tb\tb\n3\t9\tc\n", ("10", "9", "b")),
        (SETS, "1\ta, c\tx\n2\t[]\ty\n3\t['b', 'a']\tz\n", ("a", "b", "c")),
        (WORDS, "1\tO B-PER\ta b\n2\tI-PER\tc\n", ("B-PER", "I-PER", "O")),
    ],
)
def test_the_labels_are_those_of_train_in_a_stable_order(tmp_path, entry, train, expected):
    assert labels(tmp_path, entry, train) == expected
    backwards = "".join(reversed(train.splitlines(keepends=True)))
    assert labels(tmp_path, entry, backwards) == expected


@pytest.mark.parametrize(
    ("entry", "train", "message"),
    [
        (CLASSES, "1\t\ta\n2\t-\tb\n", "labels: auto: the split train has no labelled rows in"),
        (CLASSES, "1\tx\ta\n", "all training rows of task .* a classification needs at least two"),
        (ENTRY % ("PremiseOnly", "Regression", "Pearson"), "", "auto does not fit task_type Regr"),
        (CLASSES.replace("train, dev", "dev"), "", "the split train has no labelled rows"),
        (CLASSES.replace("auto", "[a, auto]"), "", ""),
    ],
)
def test_where_labels_cannot_be_found_the_entry_is_named(tmp_path, entry, train, message):
    if not message:  # auto is a label like any other in a list
        assert labels(tmp_path, entry, train) == ("a", "auto")
        return
    with pytest.raises(UserError, match=rf"tasks\.yml:1: task 't': .*{message}"):
        labels(tmp_path, entry, train)


def test_tokenized_rows_have_no_label_words(tmp_path):
    (tmp_path / "tasks.yml").write_text(CLASSES)
    (tmp_path / "t_train.json").write_text('{"uid": "1", "label": 0, "token_id": [1, 2]}\n')
    with pytest.raises(UserError, match=r"t_train\.json:1: labels: auto needs label words"):
        load_tasks(tmp_path / "tasks.yml", data_dir=tmp_path)


def test_without_the_rows_the_task_is_refused(tmp_path):
    (tmp_path / "tasks.yml").write_text(CLASSES)
    with pytest.raises(UserError, match="labels: auto needs the rows of the train split"):
        load_tasks(tmp_path / "tasks.yml")
