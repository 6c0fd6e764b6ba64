"""Examples -> one padded batch."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import torch
from transformers import AutoTokenizer

from data_utils.collator import IGNORE, Batch, collate, make_batch, pad
from data_utils.columns import to_arrow
from data_utils.sources import find_source
from data_utils.store import ensure_store
from data_utils.token_table import TokenTable
from tests.support.tasks import make_task

PAD = 9


def batch_of(indices: list[int] | None = None, pad_multiple: int = 1, **columns: list) -> Batch:
    """Through Arrow, as the store hands them out."""
    count = len(columns["input_ids"])
    columns = {"uid": [f"u{i}" for i in range(count)]} | columns
    table = pa.table({name: to_arrow(name, rows) for name, rows in columns.items()})
    rows = TokenTable(table).take(range(count) if indices is None else indices)
    return make_batch(rows, task="t", pad_token_id=PAD, pad_multiple=pad_multiple)


def test_sequences_are_padded_to_the_longest_with_the_pad_id():
    batch = batch_of(input_ids=[[1, 2, 3], [4], [5, 6]], token_type_ids=[[0, 1, 1], [0], [1, 1]])
    assert batch.input_ids.tolist() == [[1, 2, 3], [4, PAD, PAD], [5, 6, PAD]]
    assert batch.attention_mask.tolist() == [[1, 1, 1], [1, 0, 0], [1, 1, 0]]
    assert batch.token_type_ids.tolist() == [[0, 1, 1], [0, 0, 0], [1, 1, 0]]
    for tensor in (batch.input_ids, batch.attention_mask, batch.token_type_ids):
        assert tensor.dtype == torch.int64
    assert (batch.task, batch.uids, len(batch)) == ("t", ["u0", "u1", "u2"], 3)
    assert (batch.labels, batch.candidate_mask, batch.extras) == (None, None, {})


def test_a_token_that_is_the_pad_token_is_still_real():
    assert batch_of(input_ids=[[PAD, 1], [PAD]]).attention_mask.tolist() == [[1, 1], [1, 0]]


def test_the_order_is_the_one_asked_for():
    batch = batch_of([2, 0], input_ids=[[1], [2], [3]], labels=[0, 1, 2])
    assert batch.uids == ["u2", "u0"]
    assert batch.input_ids.tolist() == [[3], [1]]
    assert batch.labels.tolist() == [2, 0]


@pytest.mark.parametrize(("multiple", "width"), [(1, 5), (4, 8), (5, 5), (8, 8)])
def test_pad_multiple(multiple, width):
    batch = batch_of(pad_multiple=multiple, input_ids=[[1] * 5, [2]], labels=[[1, 2, 3], [4]])
    assert batch.input_ids.shape == batch.attention_mask.shape == (2, width)
    assert batch.attention_mask.sum(1).tolist() == [5, 1]


@pytest.mark.parametrize(
    ("labels", "expected", "dtype"),
    [
        ([1, 0], [1, 0], torch.int64),
        ([0.5, 2.0], [0.5, 2.0], torch.float32),
        ([[1, 2, 3], [4]], [[1, 2, 3], [4, IGNORE, IGNORE]], torch.int64),
        ([[0.5, 1.0], [0.0]], [[0.5, 1.0], [0.0, IGNORE]], torch.float32),
    ],
)
def test_labels_by_their_type(labels, expected, dtype):
    batch = batch_of(input_ids=[[1], [2]], labels=labels)
    assert batch.labels.tolist() == expected
    assert batch.labels.dtype == dtype


def test_candidates_are_laid_flat():
    batch = batch_of(
        input_ids=[[[1, 2], [3]], [[4]], [[5], [6], [7, 8, 9]]],
        token_type_ids=[[[0, 1], [0]], [[0]], [[0], [0], [0, 1, 1]]],
        labels=[[0, 1], [1], [1, 0, 0]],
    )
    assert batch.input_ids.shape == (6, 3)  # N sequences, none for absent candidates
    assert batch.input_ids[:, 0].tolist() == [1, 3, 4, 5, 6, 7]
    assert batch.token_type_ids.shape == (6, 3)
    assert batch.candidate_mask.tolist() == [
        [True, True, False],
        [True, False, False],
        [True, True, True],
    ]
    assert batch.labels.tolist() == [[0, 1, IGNORE], [1, IGNORE, IGNORE], [1, 0, 0]]
    assert len(batch) == 3


def test_other_columns_ride_along():
    batch = batch_of(
        [1, 0],
        input_ids=[[1], [2]],
        words=[["a", "b"], ["c"]],
        offsets=[[0, 1], [2]],
        answer=["x", "y"],
    )
    assert batch.extras["answer"] == ["y", "x"]
    assert [list(words) for words in batch.extras["words"]] == [["c"], ["a", "b"]]
    assert batch.extras["offsets"][1].tolist() == [0, 1]


def test_to_copies_every_tensor_and_leaves_the_rest():
    batch = batch_of(input_ids=[[1, 2], [3]], labels=[0, 1], answer=["x", "y"])
    moved = batch.to("meta")
    assert moved.input_ids.device.type == moved.labels.device.type == "meta"
    assert batch.input_ids.device.type == "cpu"
    assert moved.token_type_ids is None
    assert moved.extras == batch.extras


def test_pad_keeps_the_type():
    rows = [np.array([1.5], np.float32), np.array([], np.float32)]
    padded = pad(rows, 0)
    assert padded.dtype == torch.float32
    assert padded.tolist() == [[1.5], [0.0]]


def test_the_stores_own_pad_id_is_used(encoder_folder, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(encoder_folder)
    tokenizer.pad_token = "zero"  # any id but 0, which would come by itself
    (tmp_path / "t_dev.tsv").write_text("a\t1\tabout above\nb\t0\ta\n")
    task = make_task(n_class=2)
    store = ensure_store(
        task,
        "dev",
        source=find_source(task, "dev", tmp_path),
        tokenizer=tokenizer,
        max_seq_len=16,
        store_dir=tmp_path / "store",
    )
    batch = collate(store, [1, 0], pad_multiple=8)
    assert tokenizer.pad_token_id > 0
    assert (batch.input_ids[0, 3:] == tokenizer.pad_token_id).all()
    assert batch.attention_mask.sum(1).tolist() == [3, 4]
    assert batch.uids == ["b", "a"]
    assert batch.task == "t"
