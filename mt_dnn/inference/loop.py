"""The batch loop of evaluation, prediction and embeddings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Literal, TypeVar

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor

from data_utils.collator import Batch
from data_utils.encoded_rows import EncodedRows
from mt_dnn.inference.ensemble import Ensemble
from mt_dnn.model import MTDNN
from mt_dnn.randomness import dropout_off

T = TypeVar("T")

Read = Callable[[Tensor, Batch], Sequence[T]]
"""``read(output, batch)``: one result per example of the batch; both arguments are on the CPU."""
Precision = Literal["fp32", "bf16"]
"""Precision of the passes; the weights stay in float32."""
Advance = Callable[[int, int], object]
"""``advance(done, total)``: examples that this process has finished, and all of its examples."""


def map_logits(
    model: MTDNN | Ensemble,
    rows: EncodedRows,
    read: Read[T],
    *,
    batch_size: int,
    precision: Precision = "fp32",
) -> list[list[T]]:
    """Compute the logits of the rows' task and return what ``read`` makes of them.

    The seed of :meth:`TaskType.prepare` is the number of the batch. The same rows and batch size
    therefore always give the same masked tokens, on any number of processes.

    Args:
        read: for example :meth:`TaskType.decode`. Its batch is the prepared one, with the labels that
            masking creates.
        precision: as in :func:`map_batches`.

    Returns:
        As :func:`map_batches`.
    """
    return map_batches(
        model,
        rows,
        model.infer,
        read,
        batch_size=batch_size,
        prepare=model.task_types[rows.task].prepare,
        precision=precision,
    )


@torch.inference_mode()
def map_batches(
    model: MTDNN | Ensemble,
    rows: EncodedRows,
    forward: Callable[[Batch], Tensor],
    read: Read[T],
    *,
    batch_size: int,
    prepare: Callable[[Batch, int], Batch] | None = None,
    precision: Precision = "fp32",
    accelerator: Accelerator | None = None,
    advance: Advance | None = None,
) -> list[list[T]]:
    """Run the model over all rows in eval mode, one batch of similar lengths at a time.

    Every module's training mode is restored afterwards, also after an error.

    Args:
        forward: the model's output for a batch on its device: logits, or hidden states.
        read: reduces a batch's output, which is converted to float32, to one result per example. Only
            these results are kept.
        prepare: changes a batch on its device before the forward pass; its second argument is the
            number of the batch, counted from 0 over all processes.
        precision: bf16 computes the passes under autocast. An accelerator has its own precision.
        accelerator: sets the device and the autocast precision. Its processes share the batches.
            None: the model's device.
        advance: called after each batch, for example to move a progress bar.

    Returns:
        For each row, in the order of the rows, the results of its examples: several where the row was
        cut into windows, otherwise one. All processes return the results of all rows.
    """
    chunks = list(enumerate(ordered_batches(rows.table.lengths, batch_size)))
    device = next(model.parameters()).device
    if accelerator is not None:
        chunks = chunks[accelerator.process_index :: accelerator.num_processes]
        device = accelerator.device
    total = sum(len(chunk) for _, chunk in chunks)
    found: list[tuple[int, T]] = []
    with dropout_off(model):
        for number, chunk in chunks:
            batch = rows.batch(chunk).to(device)
            if prepare is not None:
                batch = prepare(batch, number)
            with _autocast(device, precision) if accelerator is None else accelerator.autocast():
                output = forward(batch)
            batch = batch.to("cpu")  # asynchronous: complete once the output has been copied
            found += zip(chunk, read(output.float().cpu(), batch), strict=True)
            if advance is not None:
                advance(len(found), total)
    if accelerator is not None:
        found = gather_object(found)  # a single process gets its own list back
    results = [result for _, result in sorted(found, key=lambda pair: pair[0])]
    return by_row(results, rows.table.windows)


def _autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else nullcontext()


def ordered_batches(lengths: np.ndarray, size: int) -> list[list[int]]:
    """Split indices into batches of similar length, the longest first.

    If the device has too little memory, the first batch fails, not a later one; except where examples have
    several windows or candidates, whose number is not compared.
    """
    order = np.argsort(-lengths, kind="stable")
    return [order[i : i + size].tolist() for i in range(0, len(order), size)]


def by_row(results: list[T], windows: Sequence[int] | np.ndarray | None) -> list[list[T]]:
    """Group the results of examples by the row that each was cut from.

    Args:
        windows: the number of each example's window, from 0 in every row; None: one example per row.
    """
    if windows is None:
        return [[result] for result in results]
    groups: list[list[T]] = []
    for result, window in zip(results, windows, strict=True):
        if window == 0:
            groups.append([])
        groups[-1].append(result)
    return groups
