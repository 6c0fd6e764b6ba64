"""MT-DNN's tokenized rows: what is written of a store, and a store made from them."""

from __future__ import annotations

import json

import pytest

from data_utils.errors import UserError
from data_utils.sources import find_source
from data_utils.store import TaskStore, ensure_store
from data_utils.task_def import TaskDef
from data_utils.token_rows import export_rows
from tests.support.tasks import make_task

PAIR = ("PremiseAndOneHypothesis", "Classification", {"labels": ("no", "yes"), "n_class": 2})
PICK = ("PremiseAndMultiHypothesis", "Ranking", {"n_class": 2})
TAGS = ("Sequence", "SequenceLabeling", {"labels": ("O", "B-x", "X", "CLS", "SEP"), "n_class": 5})
SCORE = ("PremiseOnly", "Regression", {"n_class": 1})
ROWS = {
    "PremiseAndOneHypothesis": "7\tyes\tgood day\tbad night\n8\tno\tgood\tday\n",
    "PremiseAndMultiHypothesis": "7\ta,b,c\t0,1,0\tgood\tday\tnight\tbad day\n",
    "Sequence": '7\t["O", "B-x"]\t["good", "xyz"]\n',
    "PremiseOnly": "7\t2.5\tgood day\n",
}


def task_of(kind) -> TaskDef:
    data_format, task_type, keys = kind
    return make_task(task_type, data_format=data_format, **keys)


def store_in(folder, task: TaskDef, tokenizer, max_seq_len: int = 16) -> TaskStore:
    source = find_source(task, "train", folder)
    return ensure_store(
        task,
        "train",
        source=source,
        tokenizer=tokenizer,
        max_seq_len=max_seq_len,
        store_dir=folder / "store",
    )


@pytest.fixture
def exported(tmp_path, tokenizer):
    """kind -> its store, the exported lines, and where they are."""

    def export(kind):
        task = task_of(kind)
        (tmp_path / "t_train.tsv").write_text(ROWS[task.data_format])
        store = store_in(tmp_path, task, tokenizer)
        path = tmp_path / "theirs" / "t_train.json"
        assert export_rows(store, task, path) == len(store)
        return store, [json.loads(line) for line in path.read_text().splitlines()], path

    return export


def ids(tokenizer, *tokens: str) -> list[int]:
    return tokenizer.convert_tokens_to_ids([t for text in tokens for t in text.split()])


def test_a_pair(exported, tokenizer):
    _, (first, second), _ = exported(PAIR)
    assert first == {
        "uid": "7",
        "token_id": ids(tokenizer, "[CLS] good day [SEP] bad night [SEP]"),
        "type_id": [0, 0, 0, 0, 1, 1, 1],
        "attention_mask": [1] * 7,
        "label": 1,
    }
    assert (second["uid"], second["label"]) == ("8", 0)


def test_candidates_have_ids_labels_and_the_best_ones_position(exported, tokenizer):
    _, (row,), _ = exported(PICK)
    assert (row["label"], row["olabel"], row["ruid"]) == (1, [0, 1, 0], ["a", "b", "c"])
    assert row["token_id"][2] == ids(tokenizer, "[CLS] good [SEP] bad day [SEP]")
    assert row["type_id"][0] == [0, 0, 0, 1, 1]


def test_a_sequence_has_a_label_for_every_token(exported, tokenizer):
    _, (row,), _ = exported(TAGS)
    assert row["token_id"] == ids(tokenizer, "[CLS] good x ##y ##z [SEP]")
    assert row["label"] == [3, 0, 1, 2, 2, 4]


def test_marks_that_the_labels_lack_follow_the_last_label(exported):
    data_format, task_type, _ = TAGS
    _, (row,), _ = exported((data_format, task_type, {"labels": ("O", "B-x"), "n_class": 2}))
    assert row["label"] == [3, 0, 1, 2, 2, 4]


def test_a_number_stays_one(exported):
    assert exported(SCORE)[1][0]["label"] == 2.5


@pytest.mark.parametrize("kind", [PAIR, PICK, TAGS, SCORE], ids=lambda kind: kind[0])
def test_a_store_made_from_the_rows_is_the_store_they_came_from(exported, tokenizer, kind):
    store, _, path = exported(kind)
    again = store_in(path.parent, task_of(kind), tokenizer)
    assert again.manifest.labelled
    assert again.manifest.examples == len(again) == len(store)
    one, other = store.take(range(len(store))), again.take(range(len(again)))
    assert one.keys() == other.keys()
    for name in one:
        assert str(one[name]) == str(other[name]), name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"token_id": [2, 99999, 3]},
            r"t_train\.json:1: token_id 99999: .* made with another tokenizer",
        ),
        ({"type_id": [0]}, r"t_train\.json:1: 3 token_id for 1 type_id"),
        (
            {"token_id": [2] * 20, "type_id": [0] * 20},
            r":1: 20 tokens are more than max_seq_len 16",
        ),
        ({"token_id": None}, r"t_train\.json:1: token_id: None is not a list"),
        ({"token_id": [[2]], "type_id": [[0]]}, r":1: token_id does not fit data_format"),
    ],
)
def test_malformed_rows_name_their_line(tmp_path, tokenizer, change, message):
    row = {"uid": "7", "label": 1, "token_id": [2, 50, 3], "type_id": [0, 0, 0]} | change
    (tmp_path / "t_train.json").write_text(json.dumps(row) + "\n")
    with pytest.raises(UserError, match=message):
        store_in(tmp_path, task_of(PAIR), tokenizer)
    assert not (tmp_path / "store" / "t_train").exists()


def test_formats_that_mt_dnn_has_no_such_rows_for_are_refused(tmp_path):
    cloze = task_of(("ClozeChoice", "ClozeChoice", {"n_class": 2}))
    with pytest.raises(UserError, match=r"hold no ClozeChoice task .* they hold .*Sequence"):
        export_rows(None, cloze, tmp_path / "x.json")
