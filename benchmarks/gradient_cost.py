"""Cost of combining the tasks' gradients: time and peak memory of an update, divided by those of ``sum``.

An update has one batch of each of four tasks. The batches of all programs are the same. A method whose package
is not installed is left out. Memory is measured in a process of its own, on the same batches, for one method: all
of them keep the same gradients.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median

from benchmarks.common import BenchmarkRow, Settings, in_turn, isolated, run, run_config
from benchmarks.memory import peaks
from benchmarks.smart_cost import round_of
from benchmarks.throughput import train
from data_utils.cli import run_cli
from data_utils.errors import UserError
from mt_dnn.config.run import RunConfig
from mt_dnn.registries import COMBINATIONS
from mt_dnn.training.gradients import build_combination
from mt_dnn.training.trainer import Trainer

TASKS = ("rte", "mrpc", "stsb", "cola")
SUM, COSINES = "sum", "sum with cosines"


def measure(settings: Settings, scratch: Path) -> list[BenchmarkRow]:
    rows = []
    for precision in settings.precisions():
        rows += isolated(measure_time, settings, precision, scratch)
        plain, *others = (
            isolated(memory_of, settings, precision, scratch, name)
            for name in (SUM, COSINES, "pcgrad")
        )
        for name, found in zip((COSINES, "pcgrad"), others, strict=True):
            for kind, value in found.items():
                what = f"{name}, {precision}: peak {kind} memory / sum"
                rows.append(BenchmarkRow(what, "MB", value, plain[kind], (value / plain[kind],)))
    return rows


def measure_time(settings: Settings, precision: str, scratch: Path) -> list[BenchmarkRow]:
    """Measure one Trainer per method, in turn."""
    total = (settings.rounds + 1) * settings.steps
    programs: dict[str, Callable[[int], float]] = {}
    for name in (SUM, COSINES, *COMBINATIONS.names()):
        config = config_of(settings, precision, scratch, name, updates=total)
        try:
            build_combination(config.optim)
        except UserError:  # its package is not installed
            continue
        trainer = Trainer(config)
        programs[name] = partial(round_of, trainer, trainer.updates(), settings.steps)
    took = in_turn(programs, settings.rounds)
    plain = [1000 * s / settings.steps for s in took.pop(SUM)]
    rows = []
    for name, values in took.items():
        ours = [1000 * s / settings.steps for s in values]
        ratios = tuple(a / b for a, b in zip(ours, plain, strict=True))
        what = f"{name}, {precision}: update of four tasks / sum"
        rows.append(BenchmarkRow(what, "ms", median(ours), median(plain), ratios))
    return rows


def memory_of(settings: Settings, precision: str, scratch: Path, name: str) -> dict[str, float]:
    trainer = Trainer(config_of(settings, precision, scratch, name, updates=2))
    train(trainer, islice(trainer.updates(), 2))
    return peaks()


def config_of(
    settings: Settings, precision: str, scratch: Path, name: str, *, updates: int
) -> RunConfig:
    config = run_config(settings, precision, scratch, updates=updates)
    combine = SUM if name == COSINES else name
    return dataclasses.replace(
        config,
        data=dataclasses.replace(config.data, use=TASKS),
        batch=dataclasses.replace(config.batch, accumulate=len(TASKS), spread=True),
        optim=dataclasses.replace(config.optim, combine=combine),
        train=dataclasses.replace(config.train, gradient_cosines=name == COSINES),
    )


if __name__ == "__main__":
    run_cli(lambda: run([measure], prog="benchmarks.gradient_cost", description=__doc__))
