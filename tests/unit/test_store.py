"""The token store: what is counted, and when it may be used again."""

from __future__ import annotations

import dataclasses
import gc
import json
import re
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from data_utils import files, store_builder
from data_utils.errors import UserError
from data_utils.manifest import tokenizing_options
from data_utils.sources import find_source
from data_utils.store import StoreSubset, TaskStore, describe, ensure_store
from data_utils.task_def import SourceDef, TaskDef
from data_utils.token_table import tokenize
from tests.support.tasks import make_task
from tests.support.words import vocabulary

TASK = make_task(labels=("no", "yes"))
ROWS = "a\tyes\tabout above\nb\tno\tafter\nc\tno\tall all all all all all all all all\n"


@pytest.fixture
def prepare(tmp_path: Path, tokenizer):
    """Write rows (None: leave them) and ask for the store of (task, split)."""

    def prepare(
        rows: str | None = None, *, split: str = "train", task: TaskDef = TASK, **keys
    ) -> TaskStore:
        path = tmp_path / f"t_{split}.tsv"
        if rows is not None:
            path.write_text(rows)
        options = {"tokenizer": tokenizer, "max_seq_len": 8, "store_dir": tmp_path / "store"}
        source = find_source(task, split, tmp_path)
        return ensure_store(task, split, source=source, **(options | keys))

    return prepare


def refused(prepare, *words: str, **keys) -> None:
    with pytest.raises(UserError) as error:
        prepare(**keys)
    for word in (*words, "does not fit this run", "--data.store_dir"):
        assert word in str(error.value)


@pytest.mark.parametrize("split", ["train", "dev"])
def test_the_manifest_counts(prepare, split):
    store = prepare(ROWS, split=split)
    m = store.manifest
    assert (m.rows, m.truncated, m.tokens, m.longest) == (3, 1, 4 + 3 + 8, 8)
    assert (m.task, m.split, m.labelled, m.dropped) == ("t", split, True, {})
    assert m.labels == ["no", "yes"]
    assert m.source.endswith(f"t_{split}.tsv")
    assert len(store) == 3
    assert store.lengths.tolist() == [4, 3, 8]
    assert json.loads((store.folder / "manifest.json").read_text()) == dataclasses.asdict(m)
    assert describe(m) == (
        f"t_{split}: 3 examples of 3 rows, 5.0 tokens on average, longest 8, 1 truncated at 8"
    )


def test_what_is_stored(prepare, tokenizer):
    rows = prepare(ROWS).take([2, 0])
    assert rows["uid"] == ["c", "a"]
    assert [int(label) for label in rows["labels"]] == [0, 1]
    words = tokenizer.convert_ids_to_tokens(rows["input_ids"][1].tolist())
    assert words == ["[CLS]", "about", "above", "[SEP]"]
    assert set(rows) == {"uid", "input_ids", "token_type_ids", "labels"}


def test_rows_in_several_chunks_stay_in_order(prepare, monkeypatch):
    whole = prepare(ROWS)
    monkeypatch.setattr(store_builder, "CHUNK", 2)
    parts = prepare(ROWS, split="dev")
    assert parts.manifest.tokens == whole.manifest.tokens
    for one, other in zip(*(s.take(range(3))["input_ids"] for s in (whole, parts)), strict=True):
        assert one.tolist() == other.tolist()


def test_candidates(prepare):
    task = dataclasses.replace(TASK, data_format="PremiseAndMultiHypothesis")
    store = prepare("a\t1,2\tno,yes\tabout\ta\tall all\nb\t1\tyes\tabout\tafter\n", task=task)
    assert store.lengths.tolist() == [6, 5]
    first, second = store.take([0, 1])["input_ids"]
    assert [len(ids) for ids in first] == [5, 6]
    assert len(second) == 1
    assert store.take([0])["labels"][0].tolist() == [0, 1]
    assert store.manifest.tokens == 6 + 5


def test_rows_without_gold_label_are_dropped_and_counted(prepare):
    store = prepare(ROWS + "d\t-\tabout\n")
    assert len(store) == 3
    assert store.manifest.rows == 4
    assert store.manifest.dropped == {"without gold label": 1}
    assert describe(store.manifest).startswith("t_train: 3 examples of 4 rows, 5.0 tokens")
    assert describe(store.manifest).endswith("dropped: 1 without gold label")


def test_an_unlabelled_test_split(prepare):
    store = prepare("a\t\tabout\nb\t\tafter\n", split="test")
    assert not store.manifest.labelled
    assert "labels" not in store.take([0])


def test_a_train_split_needs_labels(prepare):
    with pytest.raises(UserError, match=r"t_train\.tsv: the rows have no labels"):
        prepare("a\t\tabout\n")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a\tno\tb\nc\t\td\n", "'c' has no label"),
        ("a\t\tb\nc\tno\td\n", "'c' has a label"),
    ],
)
def test_labels_in_all_rows_or_in_none(prepare, rows, message, monkeypatch):
    with pytest.raises(UserError, match=rf"t_dev\.tsv: row uid {message}"):
        prepare(rows, split="dev")
    monkeypatch.setattr(store_builder, "CHUNK", 1)
    with pytest.raises(UserError, match=message):
        prepare(rows, split="dev")


@pytest.mark.parametrize("rows", ["", "\n\n"])
def test_an_empty_file(prepare, rows):
    with pytest.raises(UserError, match=r"t_train\.tsv: the source has no examples"):
        prepare(rows)


def test_a_file_of_dropped_rows(prepare):
    with pytest.raises(
        UserError, match="the source has no examples; 2 rows dropped: without gold label"
    ):
        prepare("a\t-\tb\nc\t-\td\n")


def test_neither_rows_nor_store(prepare):
    with pytest.raises(UserError, match="task 't': split 'dev' has no rows and no prepared store"):
        prepare(split="dev")


# Using a store again.


def made(prepare, *args, **keys) -> bool:
    lines: list[str] = []
    prepare(*args, log=lines.append, **keys)
    return bool(lines)


def test_a_store_is_made_once(prepare, tokenizer):
    assert made(prepare, ROWS)
    assert not made(prepare)
    tokenizer("a", padding="max_length", max_length=9)  # padding is a state of fast tokenizers
    assert not made(prepare)


def other_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    from transformers import BertTokenizer

    BertTokenizer(vocab=vocabulary(), do_lower_case=False).save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


def test_stale_by_tokenizer(prepare, tmp_path):
    prepare(ROWS)
    cased = other_tokenizer(tmp_path / "cased")
    refused(prepare, "tokenizer_hash: the store has", "/cased", tokenizer=cased)
    assert made(prepare, tokenizer=cased, on_stale="rebuild")
    refused(prepare, "tokenizer_hash")
    assert not made(prepare, tokenizer=cased)


def test_stale_by_max_length(prepare):
    prepare(ROWS)
    refused(prepare, "max_seq_len: the store has 8, this run has 16", max_seq_len=16)
    assert prepare(max_seq_len=16, on_stale="rebuild").manifest.truncated == 0


def test_the_tasks_own_length_wins(prepare):
    task = dataclasses.replace(TASK, max_seq_len=16)
    assert prepare(ROWS, task=task).manifest.max_seq_len == 16
    assert not made(prepare, task=task, max_seq_len=32)


def test_stale_by_rows(prepare):
    prepare(ROWS)
    refused(prepare, "source_hash: the store has", rows=ROWS.replace("after", "again"))
    assert len(prepare(ROWS + "d\tno\ta\n", on_stale="rebuild")) == 4


def test_stale_by_labels(prepare):
    prepare(ROWS)
    task = dataclasses.replace(TASK, labels=("yes", "no"))
    refused(prepare, "labels: the store has ['no', 'yes'], this run has ['yes', 'no']", task=task)
    assert prepare(task=task, on_stale="rebuild").take([0])["labels"] == [0]


def test_the_same_rows_elsewhere_are_not_stale(prepare, tmp_path):
    prepare(ROWS)
    (tmp_path / "t_train.tsv").rename(tmp_path / "moved.tsv")
    moved = dataclasses.replace(TASK, source=SourceDef(files={"train": "moved.tsv"}))
    assert not made(prepare, task=moved)


def test_a_store_without_rows_is_still_usable(prepare, tmp_path):
    prepare(ROWS)
    (tmp_path / "t_train.tsv").unlink()
    said: list[str] = []
    assert len(prepare(log=said.append, on_stale="rebuild")) == 3
    assert len(said) == 1
    assert said[0].startswith("t_train: no rows; using ")
    refused(prepare, "max_seq_len", "rows are missing, so it cannot be rebuilt", max_seq_len=16)
    refused(prepare, "are missing", max_seq_len=16, on_stale="rebuild")


def test_a_half_written_store_is_never_used(prepare, tmp_path, monkeypatch):
    def crash(*args, **keys):
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(files, "move", crash)  # the last step
        with pytest.raises(RuntimeError):
            prepare(ROWS)
    assert names(tmp_path / "store") == []

    aside = tmp_path / "store" / "t_train.partial"  # left behind by a killed process
    aside.mkdir()
    (aside / "data.arrow").write_bytes(b"half")
    folder = tmp_path / "store" / "t_train"
    folder.mkdir()
    (folder / "data.arrow").write_bytes(b"no manifest beside it")
    assert made(prepare)
    assert names(tmp_path / "store") == ["t_train"]


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name != ".t_train.lock"]


def test_a_failed_rebuild_keeps_the_old_store(prepare):
    prepare(ROWS)
    with pytest.raises(UserError, match="label 'maybe'"):
        prepare("a\tmaybe\tb\n", on_stale="rebuild")
    assert not made(prepare, ROWS)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("manifest.json", "{}", "cannot be read"),
        ("manifest.json", "{", "cannot be read"),
        ("data.arrow", "", "damaged"),
    ],
)
def test_a_damaged_store_says_so(prepare, name, content, message):
    folder = prepare(ROWS).folder
    (folder / name).write_text(content)
    with pytest.raises(UserError, match=message) as error:
        prepare()
    assert str(folder) in str(error.value)


def test_a_subset_has_its_own_numbering(prepare):
    store = prepare(ROWS)
    part = StoreSubset(store, np.array([0, 2]))
    assert len(part) == 2
    assert part.lengths.tolist() == [4, 8]
    assert part.take([1, 0])["uid"] == ["c", "a"]
    assert part.manifest is store.manifest


def test_a_flipped_bit_is_found_and_named(prepare):
    path = prepare(ROWS).folder / "data.arrow"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match=rf"is damaged \(the checksum of {path} differs"):
        prepare()


def test_a_store_of_an_older_version_has_no_checksum(prepare):
    folder = prepare(ROWS).folder
    manifest = json.loads((folder / "manifest.json").read_text())
    assert len(manifest.pop("data_hash")) == 64
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert len(prepare()) == 3


def test_the_length_of_text_labels_is_an_input_of_the_store(prepare):
    """A store with targets of up to 20 tokens does not serve a task with 5."""

    def task(longest: int) -> TaskDef:
        return make_task("SequenceGeneration", options={"max_target_len": longest})

    rows = "a\tabout above after all again against\tabout\n"
    longer, shorter = 6, 3
    assert len(prepare(rows, task=task(longer)).take([0])["labels"][0]) == longer
    refused(prepare, "options", "max_target_len", task=task(shorter))
    store = prepare(task=task(shorter), on_stale="rebuild")
    assert len(store.take([0])["labels"][0]) == shorter


def test_every_option_that_tokenizing_reads_is_an_input_of_the_store():
    """What formats and tokenization look up in the options of a task, by their source."""
    folder = Path(__file__).parents[2] / "data_utils"
    paths = (*(folder / "formats").glob("*.py"), folder / "token_table.py", folder / "store.py")
    read = {
        name.strip('"')
        for path in paths
        for name in re.findall(r"task\.options\)?(?:\.get\(|\[)([\w\"]+)", path.read_text())
    }
    assert read == {"stride", "TARGET_OPTION"}
    assert "stride" in tokenizing_options(make_task("Span"))
    assert tokenizing_options(make_task("SequenceGeneration"))["max_target_len"] == 64


@pytest.mark.parametrize("rows", [ROWS, ROWS + "d\tperhaps\tall\n"], ids=["good", "bad label"])
def test_the_garbage_collector_runs_again_afterwards(prepare, rows, monkeypatch):
    seen = []
    monkeypatch.setattr(
        store_builder, "tokenize", lambda *a, **k: seen.append(gc.isenabled()) or tokenize(*a, **k)
    )
    with suppress(UserError):
        prepare(rows)
    assert seen == [False] * (rows == ROWS)
    assert gc.isenabled()
