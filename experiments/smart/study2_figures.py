"""Collect what study2_analysis reads beside the scores: the likelihood of the labels, and SMART's figures.

    python -m experiments.smart.study2_figures experiments/smart/results

Reads the run directories under OUT/runs and writes OUT/figures.jsonl, one line for each run, with

* ``nll/<dataset>``: mean negative log-likelihood of the gold class, in nats, from the predictions;
* ``smart/<task>/<figure>``: mean of the figure's logged values over the run, such as rho.
"""

from __future__ import annotations

import json
import math
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data_utils.cli import run_cli
from data_utils.errors import UserError
from data_utils.files import write_text

FILE = "figures.jsonl"
TINY = 1e-12
"""Smallest probability of a gold class."""


def likelihood(predictions: Path) -> float:
    """Return the mean negative log-likelihood of a predictions file; classes are named 0, 1, ..."""
    lines = predictions.read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    losses = [-math.log(max(_probability(r["scores"], r["gold"]), TINY)) for r in records]
    return sum(losses) / len(losses)


def _probability(scores: Sequence[float] | dict[str, float], gold: str) -> float:
    return scores[gold] if isinstance(scores, dict) else scores[int(gold)]


def smart_means(metrics: Path) -> dict[str, float]:
    """Return the mean over the run of every figure of SMART in a metrics.jsonl."""
    values: dict[str, list[float]] = {}
    for line in metrics.read_text(encoding="utf-8").splitlines():
        for name, value in json.loads(line).items():
            if name.startswith("smart/"):
                values.setdefault(name, []).append(value)
    return {name: sum(found) / len(found) for name, found in values.items()}


def figures(run: Path) -> dict[str, Any]:
    """Return the line of one run."""
    found: dict[str, Any] = {"run": run.name}
    for path in sorted((run / "predictions").glob("sst2*.jsonl")):
        found[f"nll/{path.stem}"] = likelihood(path)
    return found | smart_means(run / "metrics.jsonl")


def main(args: Sequence[str] | None = None) -> None:
    """Run the script; ``args`` defaults to those of the process."""
    parser = ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("results", help="folder of the table's results, with runs/")
    out = Path(parser.parse_args(args).results)
    runs = [run for run in sorted((out / "runs").glob("*")) if (run / "scores.json").exists()]
    if not runs:
        raise UserError(f"{out / 'runs'}: no finished run")
    write_text(out / FILE, "".join(json.dumps(figures(run)) + "\n" for run in runs))
    print(f"{out / FILE}: {len(runs)} runs")


if __name__ == "__main__":
    run_cli(main)
