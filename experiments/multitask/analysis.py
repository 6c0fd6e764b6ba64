"""The analysis of study.yml, as its plan states it.

    python -m experiments.multitask.analysis experiments/multitask/results

Prints the score of every row and task, and for every contrast the differences with bootstrap intervals over seeds
and the p value of a sign-flip permutation test with Holm's correction, as Markdown tables.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data_utils.cli import run_cli
from data_utils.errors import UserError
from experiments.smart.study2_analysis import Scores, bootstrap_interval, read_scores, sign_flip_p
from mt_dnn.tables.significance import holm

METRICS = {
    "rte": "ACC",
    "mrpc": "ACC",
    "stsb": "Pearson",
    "sst2": "ACC",
    "mnli": "ACC",
    "qqp": "ACC",
    "qnli": "ACC",
}
COLUMNS = [f"{task}.{metric}" for task, metric in METRICS.items()]
CONTRASTS = [
    ("mixed", "single"),
    ("mixed_uniform", "single"),
    ("mixed_finetuned", "single"),
    ("mixed_finetuned", "single_6"),
]
"""(row, the row it is compared with)"""


def complete(scores: Scores, row: str) -> dict[int, np.ndarray]:
    """Seed -> scores of the tasks (7,), for the seeds of a row that have all tasks."""
    return {
        seed: np.array([values[column] for column in COLUMNS])
        for seed, values in sorted(scores.get(row, {}).items())
        if all(column in values for column in COLUMNS)
    }


def levels(scores: Scores) -> list[str]:
    """Lines of a table: mean and standard deviation of each row and task over the seeds."""
    lines = [f"| row | n | {' | '.join(METRICS)} | mean |", f"|---|---|{'---|' * 8}"]
    for row in scores:
        seeds = complete(scores, row)
        if not seeds:
            continue
        values = np.array(list(seeds.values()))  # (n, 7)
        spread = values.std(0, ddof=1) if len(values) > 1 else np.full(len(COLUMNS), np.nan)
        cells = [f"{m:.1f} ± {s:.1f}" for m, s in zip(values.mean(0), spread, strict=True)]
        lines.append(f"| {row} | {len(seeds)} | {' | '.join(cells)} | {values.mean():.2f} |")
    return lines


def differences(scores: Scores) -> list[str]:
    """Lines of a table: each contrast by task and on average, with intervals and tests."""
    found = {}
    for row, other in CONTRASTS:
        first, second = complete(scores, row), complete(scores, other)
        if seeds := sorted(first.keys() & second.keys()):
            found[row, other] = np.array([first[seed] - second[seed] for seed in seeds])  # (n, 7)
    p = {f"{a} − {b}": sign_flip_p(values.mean(1)) for (a, b), values in found.items()}
    corrected = holm(p)
    lines = [f"| contrast | n | {' | '.join(METRICS)} | mean | p | p (Holm) |"]
    lines.append(f"|---|---|{'---|' * 10}")
    for (row, other), values in found.items():
        name = f"{row} − {other}"
        cells = [_interval(task) for task in (*values.T, values.mean(1))]
        lines.append(
            f"| {name} | {len(values)} | {' | '.join(cells)} | {p[name]:.3f} | {corrected[name]:.3f} |"
        )
    return lines


def _interval(values: np.ndarray) -> str:
    low, high = bootstrap_interval(values)
    return f"{values.mean():+.2f} [{low:+.2f}, {high:+.2f}]"


def main(args: Sequence[str] | None = None) -> None:
    """Run the script; ``args`` defaults to those of the process."""
    parser = ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("results", help="folder with results.jsonl")
    options = parser.parse_args(args)
    scores = read_scores(Path(options.results))
    if not any(complete(scores, row) for row in scores):
        raise UserError(f"{options.results}: no seed of any row has finished all tasks")
    print("\n".join([*levels(scores), "", *differences(scores)]))


if __name__ == "__main__":
    run_cli(main)
