"""Speed of preparing a training split, compared with only tokenizing its texts.

Preparing reads and parses the file, tokenizes, and writes the Arrow store. The references tokenize
texts that are in memory and discard the result: with ``tokenizer(...)``, or with its Rust core, which
does not build Python lists of ids. Batches and threads are the same.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from benchmarks.common import BenchmarkRow, Settings, compare, in_turn, isolated, peak_memory, run
from data_utils.cli import run_cli
from data_utils.errors import UserError
from data_utils.registries import FORMATS
from data_utils.sources import RowSource, find_source
from data_utils.store import ensure_store
from data_utils.store_builder import CHUNK
from data_utils.task_def import TaskDef
from mt_dnn.encoders.pretrained import load_tokenizer
from mt_dnn.task_types import load_tasks

Chunks = list[list[list[str]]]
"""Chunks of rows; each chunk has one column of texts, or two for sentence pairs."""


def measure(settings: Settings, scratch: Path) -> list[BenchmarkRow]:
    rows = isolated(measure_speed, settings, scratch)
    ours, reference = isolated(store_peak, settings, scratch), isolated(call_peak, settings)
    what = f"peak host memory, prepare {settings.prepare_task}: store / tokenizer(...)"
    return [*rows, BenchmarkRow(what, "MB", ours, reference, ratios=(ours / reference,))]


def measure_speed(settings: Settings, scratch: Path) -> list[BenchmarkRow]:
    tokenizer = load_tokenizer(settings.encoder)
    chunks = read_chunks(settings)
    took = in_turn(
        {
            "store": timed(partial(build, settings, tokenizer, scratch)),
            "call": timed(partial(call, settings, tokenizer, chunks)),
            "core": timed(partial(call_core, tokenizer, chunks)),
        },
        settings.rounds,
    )
    what = f"prepare {settings.prepare_task}: store"
    work = [float(sum(len(chunk[0]) for chunk in chunks))] * settings.rounds
    return [
        compare(f"{what} / tokenizer(...)", "rows/s", took["store"], took["call"], work=work),
        compare(f"{what} / its Rust core", "rows/s", took["store"], took["core"], work=work),
    ]


def store_peak(settings: Settings, scratch: Path) -> float:
    build(settings, load_tokenizer(settings.encoder), scratch)
    return peak_memory()


def call_peak(settings: Settings) -> float:
    call(settings, load_tokenizer(settings.encoder), read_chunks(settings))
    return peak_memory()


def build(settings: Settings, tokenizer: PreTrainedTokenizerBase, scratch: Path) -> None:
    """Prepare one split as prepro.py does."""
    task, source = find_rows(settings)
    shutil.rmtree(scratch / "prepared", ignore_errors=True)
    ensure_store(
        task,
        "train",
        source=source,
        tokenizer=tokenizer,
        max_seq_len=settings.max_seq_len,
        store_dir=scratch / "prepared",
    )


def call(settings: Settings, tokenizer: PreTrainedTokenizerBase, chunks: Chunks) -> None:
    for columns in chunks:
        tokenizer(*columns, truncation=True, max_length=settings.max_seq_len)


def call_core(tokenizer: PreTrainedTokenizerBase, chunks: Chunks) -> None:
    """Tokenize with the Rust core. Truncation stays as the last call of the tokenizer set it."""
    for columns in chunks:
        rows = columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
        tokenizer.backend_tokenizer.encode_batch(rows)


def read_chunks(settings: Settings) -> Chunks:
    """Read the texts of the split, in the chunks that the store uses."""
    task, source = find_rows(settings)
    data_format = FORMATS.get(task.data_format)
    texts = (data_format.parse(row, task).texts for row in source.rows())
    chunks = []
    while chunk := list(islice(texts, CHUNK)):
        chunks.append([list(column) for column in zip(*chunk, strict=True)])
    return chunks


def find_rows(settings: Settings) -> tuple[TaskDef, RowSource]:
    task = load_tasks(settings.tasks)[settings.prepare_task]
    source = find_source(task, "train", settings.data_dir)
    if source is None:
        raise UserError(
            f"{settings.data_dir}/{task.name}_train.tsv does not exist; check --data_dir"
        )
    return task, source


def timed(program: Callable[[], object]) -> Callable[[int], float]:
    def seconds(_: int) -> float:
        start = time.perf_counter()
        program()
        return time.perf_counter() - start

    return seconds


if __name__ == "__main__":
    run_cli(lambda: run([measure], prog="benchmarks.prepare", description=__doc__))
