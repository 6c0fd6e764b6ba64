"""Run all benchmarks and print one table: ``python -m benchmarks --data_dir data/glue``."""

from __future__ import annotations

from benchmarks import memory, predict, prepare, smart_cost, throughput
from benchmarks.common import run
from data_utils.cli import run_cli

PARTS = (throughput, memory, prepare, predict, smart_cost)

if __name__ == "__main__":
    measures = [part.measure for part in PARTS]
    run_cli(lambda: run(measures, prog="benchmarks", description=__doc__))
