"""Soft labels joined to a store: what is stored, how it is batched, and every way that it can go wrong."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from data_utils import store_builder
from data_utils.collator import IGNORE, collate
from data_utils.errors import UserError
from data_utils.files import sha256
from data_utils.manifest import Manifest, read_manifest
from data_utils.sources import find_source
from data_utils.store import TaskStore, describe, ensure_store
from data_utils.token_rows import export_rows
from tests.support.tasks import make_task

CLASSES = make_task(labels=("no", "yes"))
TASKS = {
    "classes": CLASSES,
    "number": make_task("Regression"),
    "candidates": make_task("Ranking", labels=("no", "yes")),
    "words": make_task("SequenceLabeling", labels=("no", "yes")),
}
ROWS = {
    "classes": "a\tyes\tabout above\nb\tno\tafter\nc\tno\tall all\n",
    "number": "a\t0.5\tabout above\nb\t2\tafter\n",
    "candidates": "a\t1,2\tno,yes\tabout\ta\tall all\nb\t1\tyes\tabout\tafter\n",
    # zz is two sub-words, and six tokens end before the last two words.
    "words": 'a\t["no","yes","no","no","no"]\t["about","zz","all","after","above"]\n'
    'b\t["yes"]\t["about"]\n',
}
SOFT: dict[str, dict[str, Any]] = {
    "classes": {"c": [0.0, 3.0], "a": [0.1, -1.0], "b": [2.0, 0.25]},  # in any order
    "number": {"a": [0.25], "b": [1]},
    "candidates": {"a": [0.5, -1.0], "b": [2.0]},
    "words": {"a": [[1, 2], [3, 4], [5, 6], None, None], "b": [[7, 8]]},
}
EXPECTED = {
    "classes": [[0.1, -1.0], [2.0, 0.25], [0.0, 3.0]],
    "number": [[0.25], [1.0]],
    "candidates": [[0.5, -1.0], [2.0, 0.0]],
    "words": [
        [[0, 0], [1, 2], [3, 4], [0, 0], [5, 6], [0, 0]],
        [[0, 0], [7, 8], *[[0, 0]] * 4],
    ],
}
LENGTH = 6


Prepare = Callable[..., TaskStore]


@pytest.fixture
def prepare(tmp_path: Path, tokenizer) -> Prepare:
    """The store of the rows of a kind, joined with soft labels: by uid, or the file's own text; or None."""

    def prepare(kind: str = "classes", soft: Any = "", *, rows: str = "", **keys: Any) -> TaskStore:
        (tmp_path / "t_train.tsv").write_text(rows or ROWS[kind])
        path = None
        if soft is not None:
            soft = soft or SOFT[kind]
            path = tmp_path / "soft" / "t_train.jsonl"
            path.parent.mkdir(exist_ok=True)
            if isinstance(soft, dict):
                soft = "".join(
                    json.dumps({"uid": u, "logits": z, "gold": 1}) + "\n" for u, z in soft.items()
                )
            path.write_bytes(soft if isinstance(soft, bytes) else soft.encode())
        task = TASKS[kind]
        options = {"tokenizer": tokenizer, "max_seq_len": LENGTH, "store_dir": tmp_path / "store"}
        source = find_source(task, "train", tmp_path)
        return ensure_store(task, "train", source=source, soft_labels=path, **(options | keys))

    return prepare


# What comes of it.


@pytest.mark.parametrize("kind", TASKS)
def test_a_batch_has_the_logits_of_its_rows(prepare, kind):
    store = prepare(kind)
    batch = collate(store, range(len(store)))
    assert batch.soft_labels.dtype == torch.float32
    assert torch.equal(batch.soft_labels, torch.tensor(EXPECTED[kind], dtype=torch.float32))
    assert "soft_labels" not in batch.extras
    last = collate(store, [len(store) - 1])
    width = last.soft_labels.shape[1]
    assert torch.equal(last.soft_labels[0], batch.soft_labels[-1, :width])
    assert batch.to("meta").soft_labels.device.type == "meta"


@pytest.mark.parametrize("kind", TASKS)
def test_all_else_is_as_without_them(prepare, kind):
    plain, joined = prepare(kind, None), prepare(kind)
    one, other = (dataclasses.asdict(collate(s, range(len(s)))) for s in (plain, joined))
    assert one.pop("soft_labels") is None
    assert other.pop("soft_labels") is not None
    for name, value in one.items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, other[name]), name
    assert one["uids"] == other["uids"]
    assert plain.folder != joined.folder


def test_words_have_logits_where_they_have_labels(prepare):
    batch = collate(prepare("words"), [0, 1])
    labelled = batch.labels != IGNORE
    assert torch.equal(labelled, batch.soft_labels.abs().sum(-1) > 0)


def test_rows_in_several_chunks(prepare, monkeypatch):
    monkeypatch.setattr(store_builder, "CHUNK", 2)
    store = prepare()
    assert collate(store, [2, 0]).soft_labels.tolist() == [[0.0, 3.0], [pytest.approx(0.1), -1.0]]


@pytest.mark.parametrize("kind", ["classes", "candidates", "words"])
def test_rows_that_were_tokenized_in_advance(prepare, tokenizer, tmp_path, kind):
    task = TASKS[kind]
    long = prepare(kind, None, max_seq_len=16)
    export_rows(long, task, tmp_path / "json" / "t_train.json")
    path = tmp_path / "soft.jsonl"
    soft = SOFT[kind] | ({"a": [[i, i] for i in range(1, 6)]} if kind == "words" else {})
    path.write_text("".join(json.dumps({"uid": u, "logits": z}) + "\n" for u, z in soft.items()))
    store = ensure_store(
        task,
        "train",
        source=find_source(task, "train", tmp_path / "json"),
        tokenizer=tokenizer,
        max_seq_len=16,
        store_dir=tmp_path / "json",
        soft_labels=path,
    )
    batch = collate(store, range(len(store)))
    if kind == "words":
        assert batch.soft_labels[0, :, 0].tolist() == [0, 1, 2, 0, 3, 4, 5, 0]
    else:
        assert torch.equal(batch.soft_labels, torch.tensor(EXPECTED[kind]))


def test_logits_of_other_rows_are_counted(prepare):
    lines: list[str] = []
    manifest = prepare(soft=SOFT["classes"] | {"x": [0, 0], "y": [1]}, log=lines.append).manifest
    assert manifest.soft_labels_unused == 2
    assert lines == [describe(manifest)]
    assert lines[0].endswith(", with soft labels (2 lines of their file unused)")
    assert "soft labels" not in describe(prepare(soft=None).manifest)


def test_an_int_is_a_uid_as_its_text_is(prepare):
    rows = "1\tyes\tabout\n2\tno\tafter\n"
    text = '{"uid": 1, "logits": [1, 2]}\n\n{"uid": "2", "logits": [3, 4]}\n'
    assert collate(prepare(soft=text, rows=rows), [0, 1]).soft_labels.tolist() == [[1, 2], [3, 4]]


# The store.


def made(prepare: Prepare, *args: Any, **keys: Any) -> tuple[TaskStore, bool]:
    lines: list[str] = []
    store = prepare(*args, log=lines.append, **keys)
    return store, bool(lines)


def test_every_file_of_soft_labels_has_its_store_and_finds_it_again(prepare, tmp_path):
    others = SOFT["classes"] | {"a": [9.0, 9.0]}
    folders = []
    for soft in (None, SOFT["classes"], others):
        store, fresh = made(prepare, "classes", soft)
        assert fresh
        folders.append(store.folder.name)
    digits = sha256(tmp_path / "soft" / "t_train.jsonl")[:8]
    assert folders[0] == "t_train"
    assert folders[2] == f"t_train-soft-{digits}"
    assert len(set(folders)) == 3
    for soft, folder in zip((None, SOFT["classes"], others), folders, strict=True):
        store, fresh = made(prepare, "classes", soft)
        assert (store.folder.name, fresh) == (folder, False)


def test_a_store_of_other_soft_labels_is_stale(prepare):
    store = prepare()
    path = store.folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"soft_labels": "0" * 64}))
    with pytest.raises(UserError, match="soft_labels: the store has 000000000000…"):
        prepare()
    assert prepare(on_stale="rebuild").manifest.soft_labels != "0" * 64


def test_a_manifest_from_before_there_were_soft_labels_is_valid(prepare):
    store = prepare(soft=None)
    path = store.folder / "manifest.json"
    values = json.loads(path.read_text())
    old = {name: value for name, value in values.items() if not name.startswith("soft_labels")}
    path.write_text(json.dumps(old))
    assert read_manifest(store.folder) == Manifest(**values)
    assert not made(prepare, "classes", None)[1]


def test_a_store_is_used_where_its_rows_are_gone(prepare, tmp_path, tokenizer):
    found = prepare()
    (tmp_path / "t_train.tsv").unlink()
    again = ensure_store(
        CLASSES,
        "train",
        source=None,
        tokenizer=tokenizer,
        max_seq_len=LENGTH,
        store_dir=tmp_path / "store",
        soft_labels=tmp_path / "soft" / "t_train.jsonl",
    )
    assert again.folder == found.folder


# What can be wrong.


def line(uid: Any, logits: Any) -> str:
    return json.dumps({"uid": uid, "logits": logits}) + "\n"


GOOD = "".join(line(uid, z) for uid, z in SOFT["classes"].items())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{\n", ":1: not JSON"),
        ("\n[1]\n", ":2: key 'uid' is missing; expected a line of mt-dnn predict --what logits"),
        ('{"uid": "a", "scores": [1, 2]}\n', ":1: key 'logits' is missing"),
        ('{"logits": [1, 2]}\n', ":1: key 'uid' is missing"),
        (GOOD + line("a", [1, 2]), ":4: uid 'a' is already on line 2"),
        (line("c", [1, 2]) + line("a", [1]), ":2: uid 'a': logits must be 2 numbers, not 1"),
        (line("a", [[1, 2]]), ":1: uid 'a': logits must be 2 numbers, not 1 x 2"),
        (line("a", 0.5), "uid 'a': logits must be 2 numbers, not a single number"),
        (line("a", ["x", "y"]), "uid 'a': logits must be 2 numbers, not ['x', 'y']"),
        (line("a", [1, None]), "uid 'a': logits must be 2 numbers, not [1, None]"),
        (line("a", [1, float("nan")]), ":1: not JSON: NaN is not a JSON value"),
        (line("a", [1, 1e39]), "uid 'a': logits are not finite"),  # in float32
        (line("a", [1, 2]), "no logits for 2 of the 3 examples of"),
        ("", "no logits for 3 of the 3 examples of"),
        (b"\xff", ": not UTF-8"),
    ],
)
def test_a_fault_in_the_file_is_named(prepare, tmp_path, text, message):
    with pytest.raises(UserError) as error:
        prepare(soft=text or "\n")
    assert str(error.value).startswith(str(tmp_path / "soft" / "t_train.jsonl"))
    assert message in str(error.value)
    assert list(tmp_path.glob("store/[!.]*")) == []  # nor part of a store


@pytest.mark.parametrize(
    ("kind", "uid", "logits", "message"),
    [
        ("number", "a", [1, 2], "must be 1 number, not 2"),
        ("candidates", "a", [1, 2, 3], "must be 2 numbers, not 3"),
        ("candidates", "b", [[1]], "must be 1 number, not 1 x 1"),
        ("words", "b", [[1, 2, 3]], "must be 1 x 2 numbers (words x classes), not 1 x 3"),
        ("words", "b", [1, 2], "must be 1 x 2 numbers (words x classes), not 2"),
        ("words", "a", [[1, 2]] * 3, "must be 5 x 2 numbers (words x classes), not 3 x 2"),
        (
            "words",
            "a",
            [[1, 2], [3]] + [None] * 3,
            "must be 5 x 2 numbers (words x classes), not [[1, 2], [3]",
        ),
        ("words", "b", [[1, 1e39]], "logits are not finite"),
        (
            *("words", "a", [[1, 2], [3, 4], None, None, None]),
            "no logits for word 3 of 5: the teacher truncated it and this run does not",
        ),
    ],
)
def test_logits_of_another_shape(prepare, kind, uid, logits, message):
    with pytest.raises(UserError) as error:
        prepare(kind, SOFT[kind] | {uid: logits})
    number = list(SOFT[kind]).index(uid) + 1
    assert f"t_train.jsonl:{number}: uid {uid!r}: " in str(error.value)
    assert message in str(error.value)


def test_a_teacher_may_see_more_words_or_none(prepare):
    more = prepare("words", SOFT["words"] | {"a": [[1, 2], [3, 4], [5, 6], [7, 8], [9, 9]]})
    assert torch.equal(collate(more, [0]).soft_labels, collate(prepare("words"), [0]).soft_labels)
    # A word of control characters leaves no token: neither side has anything to say of it.
    rows = 'a\t["no"]\t["\\u0001"]\nb\t["yes"]\t["about"]\n'
    none = prepare("words", {"a": [None], "b": [[7, 8]]}, rows=rows)
    assert not collate(none, [0]).soft_labels.any()


def test_missing_uids_are_counted_and_the_first_named(prepare, monkeypatch):
    monkeypatch.setattr(store_builder, "CHUNK", 3)
    rows = "".join(f"u{i}\tyes\tabout\n" for i in range(8))
    with pytest.raises(UserError) as error:
        prepare(soft={"u0": [1, 2], "x": [0, 0]}, rows=rows)
    assert "no logits for 7 of the 8 examples of" in str(error.value)
    assert str(error.value).endswith("uid 'u1', 'u2', 'u3', 'u4', 'u5', ...")


def test_rows_of_one_uid_are_ambiguous(prepare, monkeypatch):
    rows = "a\tyes\tabout\nb\tno\tafter\na\tno\tall\n"
    for chunk in (4096, 1):
        monkeypatch.setattr(store_builder, "CHUNK", chunk)
        with pytest.raises(UserError, match=r"t_train\.tsv: two rows have uid 'a'"):
            prepare(rows=rows)
