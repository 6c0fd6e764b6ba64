"""The batch loop: results in the order of the rows, modes and precision of its passes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import Tensor, nn

from data_utils.collator import Batch
from data_utils.encoded_rows import EncodedRows
from data_utils.token_table import TokenTable
from mt_dnn.config.run import SystemConfig
from mt_dnn.devices import build_accelerator
from mt_dnn.inference.loop import by_row, map_batches, map_logits, ordered_batches

LENGTHS = (3, 9, 4, 9, 1, 2, 7)
"""Tokens of each example; the ids of example i are all i + 1, the padding is 0."""


class Kind:
    """A task type whose preparation writes the seed into every token's type."""

    def prepare(self, batch: Batch, seed: int) -> Batch:
        batch.token_type_ids = torch.full_like(batch.input_ids, seed)
        return batch


class Model(nn.Module):
    """Logits: the mean id of the real tokens, and the seed that the batch was prepared with."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Linear(1, 1, bias=False)
        self.frozen = nn.Dropout()
        nn.init.ones_(self.scale.weight)
        self.task_types = {"t": Kind()}
        self.modes: list[bool] = []
        self.dtypes: list[torch.dtype] = []

    def infer(self, batch: Batch) -> Tensor:
        self.modes.append(self.training)
        ids = self.scale(batch.input_ids.sum(1, keepdim=True).float())  # (B, 1)
        self.dtypes.append(ids.dtype)
        seeds = torch.zeros_like(ids)
        if batch.token_type_ids is not None:
            seeds += batch.token_type_ids[:, :1]
        return torch.cat([ids / batch.attention_mask.sum(1, keepdim=True), seeds], 1)


def encoded(lengths: tuple[int, ...] = LENGTHS, windows: list[int] | None = None) -> EncodedRows:
    columns: dict[str, list] = {
        "uid": [str(i) for i in range(len(lengths))],
        "input_ids": [[i + 1] * length for i, length in enumerate(lengths)],
    }
    if windows is not None:
        columns["window"] = windows
    return EncodedRows("t", TokenTable(pa.table(columns)), pad_token_id=0)


def read(logits: Tensor, batch: Batch) -> list[tuple[str, list[float]]]:
    return list(zip(batch.uids, logits.tolist(), strict=True))


@pytest.fixture
def model() -> Model:
    model = Model().train()
    model.frozen.eval()
    return model


def test_every_example_is_in_one_batch_the_longest_first():
    assert ordered_batches(np.array(LENGTHS[:5]), 2) == [[1, 3], [2, 0], [4]]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
def test_results_are_in_the_order_of_the_rows(model, size):
    found = map_logits(model, encoded(), read, batch_size=size)
    assert [uid for ((uid, _),) in found] == ["0", "1", "2", "3", "4", "5", "6"]
    assert [logits[0] for ((_, logits),) in found] == [1, 2, 3, 4, 5, 6, 7]


def test_windows_stand_together_in_the_list_of_their_row(model):
    found = map_logits(model, encoded(windows=[0, 1, 2, 0, 0, 1, 0]), read, batch_size=2)
    assert [[uid for uid, _ in row] for row in found] == [["0", "1", "2"], ["3"], ["4", "5"], ["6"]]
    assert by_row([5, 6], None) == [[5], [6]]


def test_the_number_of_a_batch_seeds_its_preparation(model):
    found = map_logits(model, encoded(), read, batch_size=3)
    # Batches by length: rows 1, 3, 6; rows 2, 0, 5; row 4.
    assert [logits[1] for ((_, logits),) in found] == [1, 0, 1, 0, 2, 1, 0]


def test_what_needs_no_task_is_not_prepared(model):
    found = map_batches(model, encoded(), model.infer, read, batch_size=3)
    assert [logits for ((_, logits),) in found] == [[i + 1, 0] for i in range(7)]


def assert_as_it_was(model: Model) -> None:
    assert model.training
    assert model.scale.training
    assert not model.frozen.training  # a part in eval mode stays in it


def test_passes_are_in_eval_mode_and_the_mode_is_restored(model):
    map_logits(model, encoded(), read, batch_size=3)
    assert model.modes == [False, False, False]
    assert_as_it_was(model)
    map_logits(model.eval(), encoded(), read, batch_size=3)
    assert not any(module.training for module in model.modules())


def test_the_mode_is_restored_after_an_error(model):
    def broken(logits: Tensor, batch: Batch) -> list[str]:
        raise RuntimeError("no result")

    with pytest.raises(RuntimeError, match="no result"):
        map_logits(model, encoded(), broken, batch_size=3)
    assert_as_it_was(model)
    assert not torch.is_inference_mode_enabled()


def test_passes_record_no_gradients_and_leave_no_inference_mode(model):
    def recorded(logits: Tensor, batch: Batch) -> list[bool]:
        return [logits.requires_grad] * len(batch)

    assert map_logits(model, encoded(), recorded, batch_size=4) == [[False]] * 7
    assert not torch.is_inference_mode_enabled()
    assert not any(parameter.is_inference() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("precision", "computed"), [("fp32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_the_accelerator_sets_the_precision_of_the_passes(model, precision, computed):
    accelerator = build_accelerator(SystemConfig(device="cpu", precision=precision))
    types: list[torch.dtype] = []

    def read(logits: Tensor, batch: Batch) -> list[None]:
        types.append(logits.dtype)
        return [None] * len(batch)

    map_batches(model, encoded(), model.infer, read, batch_size=7, accelerator=accelerator)
    assert model.dtypes == [computed]
    map_logits(model, encoded(), read, batch_size=7)
    assert model.dtypes == [computed, torch.float32]
    assert types == [torch.float32] * 2


@pytest.mark.parametrize(
    ("precision", "computed"), [("fp32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_a_precision_without_an_accelerator(model, precision, computed):
    types: list[torch.dtype] = []

    def read(logits: Tensor, batch: Batch) -> list[None]:
        types.append(torch.mm(logits, logits.T).dtype)  # reading is outside autocast
        return [None] * len(batch)

    map_logits(model, encoded(), read, batch_size=7, precision=precision)
    assert model.dtypes == [computed]
    assert types == [torch.float32]


def test_one_batch_is_in_memory_at_a_time(model):
    """Each batch is read before the next one is made."""
    events: list[str] = []
    rows = encoded()

    class Watched(TokenTable):
        lengths = rows.table.lengths
        columns = rows.table.columns
        windows = rows.table.windows

        def __init__(self) -> None:
            pass

        def take(self, indices):
            events.append("made")
            return super().take(indices)

    def read(logits: Tensor, batch: Batch) -> list[None]:
        events.append("read")
        return [None] * len(batch)

    map_logits(model, EncodedRows("t", Watched(), 0), read, batch_size=3)
    assert events == ["made", "read"] * 3


def test_the_copy_that_waits_for_the_device_comes_last(model, monkeypatch):
    """A batch is copied without waiting, so its values count only after the output's copy."""
    events: list[str] = []
    move = Batch.to

    def to(batch: Batch, device: torch.device | str) -> Batch:
        events.append("batch")
        return move(batch, device)

    class Output:
        def float(self) -> Output:
            return self

        def cpu(self) -> Tensor:
            events.append("output")
            return torch.zeros(7)

    def read(output: Tensor, batch: Batch) -> list[None]:
        events.append("read")
        return [None] * len(batch)

    monkeypatch.setattr(Batch, "to", to)
    map_batches(model, encoded(), lambda batch: Output(), read, batch_size=7)
    assert events == ["batch", "batch", "output", "read"]


def test_processes_share_the_batches(model, monkeypatch):
    """Two processes, one after the other: neither computes a batch of the other's."""
    gathered: list = []

    class Process:
        device = torch.device("cpu")
        num_processes = 2
        autocast = staticmethod(torch.no_grad)

        def __init__(self, index: int) -> None:
            self.process_index = index

    def gather(own: list) -> list:
        gathered.extend(own)
        return gathered

    monkeypatch.setattr("mt_dnn.inference.loop.gather_object", gather)
    map_batches(model, encoded(), model.infer, read, batch_size=3, accelerator=Process(0))
    assert len(gathered) == 4  # batches 0 and 2
    found = map_batches(model, encoded(), model.infer, read, batch_size=3, accelerator=Process(1))
    assert [uid for ((uid, _),) in found] == [str(i) for i in range(7)]
