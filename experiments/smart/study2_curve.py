"""Plot what R_s changes against its size, from the results of study2.yml.

    python -m experiments.smart.study2_curve experiments/smart/results --out docs/images/smart-rho.png

A point is a row with R_s on one task: the mean difference to the baseline over the seeds, with a 95% bootstrap
interval, against rho, the norm of the term's gradient divided by that of the supervised one, averaged over the run.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data_utils.cli import run_cli
from data_utils.errors import UserError
from experiments.smart.study2_analysis import (
    REFERENCES,
    TASKS,
    Scores,
    bootstrap_interval,
    paired,
    read_scores,
)

NAMES = {"sst2": "SST-2, accuracy", "stsb": "STS-B, Pearson"}
MARKERS = "os^Dvp"
"""Markers of the rows."""
Point = tuple[str, float, float, tuple[float, float]]
"""Row, mean rho, mean difference in points, its interval."""


def points(scores: Scores, task: str) -> list[Point]:
    """Return the points of a task in the order of rho, for rows that are compared with the baseline."""
    column, rho = f"{task}.{TASKS[task]}", f"smart/{task}/rho"
    found = []
    for row, seeds in scores.items():
        sizes = [values[rho] for values in seeds.values() if rho in values]
        _, differences = paired(scores, row, [column])
        if row not in REFERENCES and sizes and len(differences) > 1:
            own = differences[:, 0]
            found.append((row, float(np.mean(sizes)), float(own.mean()), bootstrap_interval(own)))
    return sorted(found, key=lambda point: point[1])


def draw(scores: Scores, path: Path) -> None:
    """Write the picture: a colour for each task, a marker for each row."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.6), layout="constrained", dpi=150)
    axes = figure.subplots()
    axes.axhline(0, color="0.6", linewidth=1)
    shapes: dict[str, str] = {}
    for task, colour in zip(TASKS, ("C0", "C1"), strict=True):
        axes.plot([], [], "_", color=colour, markersize=12, label=NAMES[task])
        for row, rho, mean, (low, high) in points(scores, task):
            shape = shapes.setdefault(row, MARKERS[len(shapes) % len(MARKERS)])
            errors = [[mean - low], [high - mean]]
            axes.errorbar([rho], [mean], errors, fmt=shape, color=colour, capsize=3)
    for row, shape in shapes.items():
        axes.plot([], [], shape, color="0.3", label=row)
    axes.set_xscale("log")
    axes.set_xlabel("rho: size of the gradient of R_s, relative to that of the loss")
    axes.set_ylabel("difference to the baseline (points)")
    axes.legend(loc="upper left", frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})


def main(args: Sequence[str] | None = None) -> None:
    """Run the script; ``args`` defaults to those of the process."""
    parser = ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("results", help="folder with results.jsonl and figures.jsonl")
    parser.add_argument("--out", default="docs/images/smart-rho.png", help="picture to write")
    options = parser.parse_args(args)
    scores = read_scores(Path(options.results))
    if not any(points(scores, task) for task in TASKS):
        raise UserError(f"{options.results}: no row with R_s has two seeds and a measured rho")
    draw(scores, Path(options.out))
    print(options.out)


if __name__ == "__main__":
    run_cli(main)
