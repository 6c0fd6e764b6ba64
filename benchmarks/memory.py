"""Peak memory of training on the longest batches, with each program in a separate process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from benchmarks.common import BenchmarkRow, Settings, isolated, peak_memory, run, run_config
from data_utils.cli import run_cli
from data_utils.collator import Batch, collate
from data_utils.store import TaskStore

UPDATES = 4

Peaks = dict[str, float]
"""MB by kind of memory."""


def measure(settings: Settings, scratch: Path) -> list[BenchmarkRow]:
    rows = []
    for precision in settings.precisions():
        # The Trainer first, because it prepares the store.
        ours = isolated(of_trainer, settings, precision, scratch)
        reference = isolated(of_bare_loop, settings, precision, scratch)
        rows += [
            BenchmarkRow(
                f"peak {kind} memory, {precision}: trainer / bare loop",
                "MB",
                ours[kind],
                reference[kind],
                ratios=(ours[kind] / reference[kind],),
            )
            for kind in ours
        ]
    return rows


def of_trainer(settings: Settings, precision: str, scratch: Path) -> Peaks:
    # Imported here, so that it does not add to the memory of the bare loop's process.
    from mt_dnn.training.trainer import Trainer

    trainer = Trainer(run_config(settings, precision, scratch, updates=UPDATES))
    for batch in longest_batches(settings, scratch):
        trainer.update([batch])
    return peaks()


def of_bare_loop(settings: Settings, precision: str, scratch: Path) -> Peaks:
    from benchmarks.bare import BareLoop

    cuda = settings.device in ("auto", "cuda") and torch.cuda.is_available()
    bare = BareLoop(
        settings.encoder,
        n_class=len(TaskStore(scratch / "store" / f"{settings.task}_train").manifest.labels),
        device=torch.device("cuda" if cuda else "cpu"),
        total=UPDATES,
        compiled={} if settings.compile else None,
    )
    bare.train(longest_batches(settings, scratch), precision=precision)
    return peaks()


def longest_batches(settings: Settings, scratch: Path) -> list[Batch]:
    store = TaskStore(scratch / "store" / f"{settings.task}_train")
    order = np.argsort(-store.lengths, kind="stable")[: UPDATES * settings.batch_size]
    starts = range(0, len(order), settings.batch_size)
    return [collate(store, order[i : i + settings.batch_size].tolist()) for i in starts]


def peaks() -> Peaks:
    if torch.cuda.is_initialized():
        return {"host": peak_memory(), "CUDA": torch.cuda.max_memory_allocated() / 1e6}
    return {"host": peak_memory()}


if __name__ == "__main__":
    run_cli(lambda: run([measure], prog="benchmarks.memory", description=__doc__))
