"""Training speed: the Trainer's updates compared with a bare torch loop and Hugging Face's Trainer.

The Trainer, the bare loop, and the bare loop on unsorted batches of the same examples take turns in one
process. The measured time of the Trainer includes reading and padding its batches. The bare loop
receives finished batches. Hugging Face's Trainer, with batches by length and with random ones, has its
turn in each round too. It draws its own batches, so speeds are compared in tokens, without padding.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from itertools import chain, count, islice
from pathlib import Path

import numpy as np
import torch

from benchmarks.bare import BareLoop
from benchmarks.common import BenchmarkRow, Settings, compare, in_turn, isolated, run, run_config
from benchmarks.hf_program import GROUPED, RANDOM, HFProgram, Job
from data_utils.cli import run_cli
from data_utils.collator import Batch
from data_utils.sampler import TaskBatch
from mt_dnn.training.trainer import Trainer

HF = {GROUPED: "HF Trainer, by length", RANDOM: "HF Trainer, random"}


def measure(settings: Settings, scratch: Path) -> list[BenchmarkRow]:
    return [
        row
        for precision in settings.precisions()
        for row in isolated(measure_precision, settings, precision, scratch)
    ]


def measure_precision(settings: Settings, precision: str, scratch: Path) -> list[BenchmarkRow]:
    """Make all comparisons at one precision; for a 16-bit one also its speed-up over fp32."""
    steps, task = settings.steps, settings.task
    total = (settings.rounds + 1) * steps
    trainer = Trainer(run_config(settings, precision, scratch, updates=total))
    device = trainer.device
    bare = BareLoop(
        settings.encoder,
        n_class=trainer.data.tasks[task].n_class,
        device=device,
        total=3 * total,
        compiled={} if settings.compile else None,
    )

    # The sampler is a function of (seed, epoch), so these are the batches the Trainer will train on.
    sampler, dataset = trainer.loader.sampler, trainer.loader.dataset
    epochs = map(sampler.batches, count())
    order = [batch.indices for batch in islice(chain.from_iterable(epochs), total)]
    rounds = [order[i : i + steps] for i in range(0, total, steps)]
    rng = np.random.default_rng(0)
    grouped, unsorted = (
        [[dataset[TaskBatch(task, indices)] for indices in chunk] for chunk in chunks]
        for chunks in (rounds, [shuffle(chunk, rng) for chunk in rounds])
    )

    updates = trainer.updates()

    def bare_loop(rounds: list[list[Batch]], precision: str) -> Callable[[int], float]:
        return lambda i: seconds(device, lambda: bare.train(rounds[i], precision=precision))

    programs: dict[str, Callable[[int], float]] = {
        "trainer": lambda _: seconds(device, lambda: train(trainer, islice(updates, steps))),
        "bare": bare_loop(grouped, precision),
        "unsorted": bare_loop(unsorted, precision),
    }
    if precision != "fp32":
        programs["fp32"] = bare_loop(grouped, "fp32")
    others = {
        sampling: HFProgram(
            Job(
                encoder=settings.encoder,
                store=scratch / "store" / f"{task}_train",
                n_class=trainer.data.tasks[task].n_class,
                sampling=sampling,
                precision=precision,
                device=device.type,
                batch_size=settings.batch_size,
                steps=steps,
                rounds=settings.rounds + 1,
                compiled=settings.compile,
            )
        )
        for sampling in HF
    }
    with ExitStack() as running:
        programs |= {name: running.enter_context(program) for name, program in others.items()}
        took = in_turn(programs, settings.rounds)

    examples = [float(sum(map(len, chunk))) for chunk in grouped[1:]]
    rows = []
    for name, one, other in (
        ("trainer / bare loop, same batches", "trainer", "bare"),
        ("bare loop, by length / unsorted", "bare", "unsorted"),
        (f"bare loop, {precision} / fp32", "bare", "fp32"),
    ):
        if other in took:
            what = f"train {task}, {precision}: {name}"
            rows.append(compare(what, "examples/s", took[one], took[other], work=examples))
    tokens = [float(sum(b.attention_mask.sum() for b in chunk)) for chunk in grouped[1:]]
    for sampling, name in HF.items():
        what = f"train {task}, {precision}: trainer / {name}"
        theirs = others[sampling].tokens[1:]
        rows.append(
            compare(
                what,
                "tokens/s",
                took["trainer"],
                took[sampling],
                work=tokens,
                reference_work=theirs,
            )
        )
    if precision == "fp32":
        ours, reference = (padding(chain.from_iterable(chunks)) for chunks in (grouped, unsorted))
        what = f"padding of {task}: batches by length / unsorted"
        rows.append(BenchmarkRow(what, "% of cells", ours, reference, ratios=(ours / reference,)))
    return rows


def train(trainer: Trainer, updates: Iterable[list[Batch]]) -> None:
    """Train as Trainer.fit does between log points."""
    for batches in updates:
        trainer.update(batches)


def seconds(device: torch.device, work: Callable[[], None]) -> float:
    """Seconds until the device has finished ``work``."""
    synchronize(device)
    start = time.perf_counter()
    work()
    synchronize(device)
    return time.perf_counter() - start


def synchronize(device: torch.device) -> None:
    if device.type != "cpu":
        getattr(torch, device.type).synchronize()


def shuffle(batches: list[list[int]], rng: np.random.Generator) -> list[list[int]]:
    """Redistribute the examples at random over batches of the same sizes."""
    sizes = [len(batch) for batch in batches]
    mixed = rng.permutation(np.concatenate(batches))
    return [part.tolist() for part in np.split(mixed, np.cumsum(sizes)[:-1])]


def padding(batches: Iterable[Batch]) -> float:
    """Percentage of the cells of input_ids that are padding."""
    masks = [batch.attention_mask for batch in batches]
    return 100 * (1 - sum(int(m.sum()) for m in masks) / sum(m.numel() for m in masks))


if __name__ == "__main__":
    run_cli(lambda: run([measure], prog="benchmarks.throughput", description=__doc__))
