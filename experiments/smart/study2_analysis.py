"""The analysis of study2.yml, as its plan states it.

    python -m experiments.smart.study2_analysis experiments/smart/results

For every contrast, mostly with the baseline: the endpoint, the p value of a sign-flip permutation test over seeds with
Holm's correction, and a bootstrap interval. Prints a Markdown table.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np

from data_utils.cli import run_cli
from data_utils.errors import UserError
from experiments.smart.study2_figures import FILE as FIGURES
from mt_dnn.tables.results import read_results
from mt_dnn.tables.significance import holm

TASKS = {"sst2": "ACC", "stsb": "Pearson"}
SECONDARY = ("sst2_typos.ACC", "stsb_typos.Pearson", "sst2.ECE", "nll/sst2", "nll/sst2_typos")
BASELINE, CONTROL = "baseline", "r_s_1e-5"
REFERENCES = {"rdrop_ascent": "rdrop", "mtdnn_release_1e-3": "mtdnn_release"}
"""Rows that are compared with another row than the baseline."""
MARGIN = 0.5
"""Equivalence of the negative control: points on each task."""
RESAMPLES = 10_000

Scores = dict[str, dict[int, dict[str, float]]]
"""Row -> seed -> ``dataset.metric``, or the name of a figure -> value."""


def sign_flip_p(differences: np.ndarray) -> float:
    """Two-sided p value of the mean of ``differences`` (n,) under exact sign flips.

    It is the share of all 2^n assignments of signs whose mean is at least as far from 0.
    """
    signs = np.array(list(product((1, -1), repeat=len(differences))))  # (2^n, n)
    means = np.abs((signs * differences).mean(1))
    return float((means >= abs(differences.mean()) - 1e-12).mean())


def bootstrap_interval(differences: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """95% percentile interval of the mean of ``differences`` (n,), resampled over seeds."""
    rng = np.random.default_rng(seed)
    picks = rng.integers(len(differences), size=(RESAMPLES, len(differences)))
    low, high = np.quantile(differences[picks].mean(1), (0.025, 0.975))
    return float(low), float(high)


def read_scores(folder: Path) -> Scores:
    """Read the scores of all runs in a folder of results; single runs of a seed are merged."""
    scores: Scores = {}
    figures = read_figures(folder)
    for result in read_results(folder).values():
        own = scores.setdefault(result["row"], {}).setdefault(result["seed"], {})
        for dataset, metrics in result["scores"].items():
            own |= {f"{dataset}.{metric}": value for metric, value in metrics.items()}
        own |= figures.get(result["run"], {})
    return scores


def read_figures(folder: Path) -> dict[str, dict[str, float]]:
    """Read figures.jsonl, which study2_figures writes: run -> name -> value; empty without the file."""
    path = folder / FIGURES
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {line.pop("run"): line for line in map(json.loads, lines)}


def paired(scores: Scores, row: str, columns: Sequence[str]) -> tuple[list[int], np.ndarray]:
    """Differences of a row to its reference: seeds that have all columns, and an array (n, columns)."""
    first, other = scores.get(REFERENCES.get(row, BASELINE), {}), scores.get(row, {})
    seeds = [
        seed
        for seed in sorted(first.keys() & other.keys())
        if all(column in first[seed] and column in other[seed] for column in columns)
    ]
    rows = [[other[seed][column] - first[seed][column] for column in columns] for seed in seeds]
    return seeds, np.array(rows).reshape(len(seeds), len(columns))


def analyse(scores: Scores) -> list[str]:
    """Return the lines of the report."""
    columns = [f"{task}.{metric}" for task, metric in TASKS.items()]
    spread = [
        np.std([values[c] for values in scores[BASELINE].values() if c in values], ddof=1)
        for c in columns
    ]
    rows = [row for row in scores if row != BASELINE and len(paired(scores, row, columns)[0]) > 1]
    found = {row: paired(scores, row, columns) for row in rows}
    endpoints = {row: differences.mean(1) for row, (_, differences) in found.items()}  # (n,)
    p = {row: sign_flip_p(endpoints[row]) for row in rows}
    corrected = holm(p)
    lines = [
        f"| contrast | n | {' | '.join(columns)} | endpoint [95%] | in sd | p | p (Holm) |",
        f"|---|---|{'---|' * len(columns)}---|---|---|---|",
    ]
    for row in rows:
        seeds, differences = found[row]
        low, high = bootstrap_interval(endpoints[row])
        single = " | ".join(f"{value:+.2f}" for value in differences.mean(0))
        units = (differences / spread).mean()
        lines.append(
            f"| {row} − {REFERENCES.get(row, BASELINE)} | {len(seeds)} | {single} | {endpoints[row].mean():+.2f} [{low:+.2f}, {high:+.2f}] | "
            f"{units:+.2f} | {p[row]:.3f} | {corrected[row]:.3f} |"
        )
    if CONTROL in found:
        lines.append("")
        for column, differences in zip(columns, found[CONTROL][1].T, strict=True):
            low, high = bootstrap_interval(differences)
            verdict = "within" if low > -MARGIN and high < MARGIN else "not shown to be within"
            lines.append(
                f"Negative control {CONTROL}, {column}: [{low:+.2f}, {high:+.2f}], {verdict} ±{MARGIN}."
            )
    lines += ["", "Secondary, mean difference of the same contrasts (n seeds):", ""]
    for row in rows:
        parts = []
        for column in SECONDARY:
            seeds, differences = paired(scores, row, [column])
            if seeds:
                parts.append(f"{column} {differences.mean():+.3f} ({len(seeds)})")
        lines.append(f"* {row}: {', '.join(parts) or 'none'}")
    return lines + levels(scores)


def levels(scores: Scores) -> list[str]:
    """Lines of a table of rows: mean and deviation of the scores over seeds, and the mean rho of its terms."""
    columns = [f"{task}.{metric}" for task, metric in TASKS.items()]
    lines = ["", f"| row | {' | '.join(columns)} | rho ({', '.join(TASKS)}) |", "|---|---|---|---|"]
    for row, seeds in scores.items():
        values = {c: [found[c] for found in seeds.values() if c in found] for c in columns}
        cells = [f"{np.mean(v):.2f} ± {np.std(v, ddof=1):.2f}" for v in values.values()]
        rho = []
        for task in TASKS:
            names = (f"smart/{task}/rho", f"smart/{task}/rho_proximal")
            found = [seed[name] for seed in seeds.values() for name in names if name in seed]
            rho.append(f"{np.mean(found):.2g}" if found else "none")
        lines.append(f"| {row} | {' | '.join(cells)} | {', '.join(rho)} |")
    return lines


def main(args: Sequence[str] | None = None) -> None:
    """Run the script; ``args`` defaults to those of the process."""
    parser = ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("results", help="folder with results.jsonl")
    options = parser.parse_args(args)
    scores = read_scores(Path(options.results))
    if len(scores.get(BASELINE, {})) < 2:
        raise UserError(f"{options.results}: fewer than two seeds of {BASELINE} have finished")
    print("\n".join(analyse(scores)))


if __name__ == "__main__":
    run_cli(main)
