"""Cost of SMART: time of an update with SMART divided by a plain one, on the same batches.

Counted in passes, a plain update has 3 units: forward, backward to activations, backward to weights.
With one ascent step, R_s adds a forward and a backward to the noise, then a forward and a backward to
activations and weights. That is 8 units, so the ratio is at least 2.67. The teacher's forward makes 9
units, a ratio of at least 3.0. In bfloat16 at the paper's radius the passes of the terms stay in
float32; ``autocast`` shows the cost from the radius on at which they follow autocast. The extra pass that measures the gain over random noise once per log
interval falls into the warm-up round, which is not counted.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.common import BenchmarkRow, Settings, in_turn, isolated, run, run_config
from benchmarks.throughput import seconds, train
from data_utils.cli import run_cli
from data_utils.collator import Batch
from mt_dnn.config.smart import ProximalConfig, SmoothnessConfig
from mt_dnn.training.trainer import Trainer

PLAIN = "plain"
VARIANTS: dict[str, dict[str, Any]] = {
    PLAIN: {},
    "R_s": {"smart": "smart", "proximal": ProximalConfig(weight=0.0)},
    "R_s and D_Breg": {"smart": "smart"},
}
NARROW = SmoothnessConfig(precision="autocast")
AUTOCAST: dict[str, dict[str, Any]] = {
    "R_s, autocast": VARIANTS["R_s"] | {"smoothness": NARROW},
    "R_s and D_Breg, autocast": {
        "smart": "smart",
        "smoothness": NARROW,
        "proximal": ProximalConfig(precision="autocast"),
    },
}
"""Variants that differ from VARIANTS under bfloat16 only."""


def measure(settings: Settings, scratch: Path) -> list[BenchmarkRow]:
    return [
        row
        for precision in settings.precisions()
        for row in isolated(measure_precision, settings, precision, scratch)
    ]


def measure_precision(settings: Settings, precision: str, scratch: Path) -> list[BenchmarkRow]:
    """Measure one Trainer per variant. They share a seed and therefore train on the same batches."""
    total = (settings.rounds + 1) * settings.steps
    config = run_config(settings, precision, scratch, updates=total)
    programs: dict[str, Callable[[int], float]] = {}
    for name, changes in (VARIANTS if precision == "fp32" else VARIANTS | AUTOCAST).items():
        trainer = Trainer(dataclasses.replace(config, **changes))
        programs[name] = partial(round_of, trainer, trainer.updates(), settings.steps)
    took = in_turn(programs, settings.rounds)
    plain = [1000 * s / settings.steps for s in took.pop(PLAIN)]
    rows = []
    for name, values in took.items():
        ours = [1000 * s / settings.steps for s in values]
        ratios = tuple(a / b for a, b in zip(ours, plain, strict=True))
        what = f"update with {name}, {precision} / plain, same batches"
        rows.append(BenchmarkRow(what, "ms", median(ours), median(plain), ratios))
    return rows


def round_of(trainer: Trainer, updates: Iterator[list[Batch]], steps: int, _: int) -> float:
    return seconds(trainer.device, lambda: train(trainer, islice(updates, steps)))


if __name__ == "__main__":
    run_cli(lambda: run([measure], prog="benchmarks.smart_cost", description=__doc__))
