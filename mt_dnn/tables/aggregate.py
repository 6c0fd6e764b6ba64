"""Aggregate results over seeds into the cells of a table."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from data_utils.registries import METRICS
from mt_dnn.tables.definition import Column, Table
from mt_dnn.tables.plan import PlannedRun
from mt_dnn.tables.results import Result

FEWEST = 3
"""Smallest number of seed pairs for a significance test; the spread of two pairs means little."""


@dataclass(frozen=True)
class Versus:
    """Comparison of a cell with the first row's cell, over the seeds that both have."""

    difference: float
    """Mean over seeds of this row's score minus the first row's."""
    p: float | None
    """Two-sided p value; None for fewer than three pairs, or if all differences are equal."""
    n: int
    """Number of pairs."""


@dataclass(frozen=True)
class Cell:
    """Scores of one row in one column. Each statistic is None while no seed has finished."""

    row: str
    column: str
    scores: dict[int, float]
    """By seed, for seeds whose run has finished."""
    paper: float | None
    aggregate: str
    greater_is_better: bool
    versus_first: Versus | None
    """None in the first row itself, and if the two rows have no seed in common."""

    @property
    def n(self) -> int:
        return len(self.scores)

    @property
    def median(self) -> float | None:
        return statistics.median(self.scores.values()) if self.scores else None

    @property
    def mean(self) -> float | None:
        return statistics.fmean(self.scores.values()) if self.scores else None

    @property
    def sd(self) -> float | None:
        """Sample standard deviation (denominator n - 1); None for fewer than two scores."""
        return statistics.stdev(self.scores.values()) if self.n > 1 else None

    @property
    def best(self) -> float | None:
        choose = max if self.greater_is_better else min
        return choose(self.scores.values()) if self.scores else None

    @property
    def value(self) -> float | None:
        """The statistic that the table's ``aggregate`` names."""
        return getattr(self, self.aggregate)

    @property
    def to_paper(self) -> float | None:
        """``value`` minus the paper's number."""
        if self.value is None or self.paper is None:
            return None
        return self.value - self.paper


@dataclass(frozen=True)
class Summary:
    """All cells of a table, and the results that they come from."""

    table: Table
    cells: dict[tuple[str, str], Cell]
    """By (row, column)."""
    results: list[Result]
    """One for each finished run of the table."""
    missing: list[str]
    """Names of the runs without a result."""
    others: int
    """Number of results in the folder from runs with other settings."""


def summarize(table: Table, runs: Sequence[PlannedRun], results: dict[str, Result]) -> Summary:
    """Compute the cells of ``table``.

    Args:
        runs: the planned runs of the table.
        results: by run hash.
    """
    by_place: dict[tuple[str, tuple[str, ...] | None, int], Result | None] = {
        (run.row, run.use, run.seed): results.get(run.hash) for run in runs
    }
    cells: dict[tuple[str, str], Cell] = {}
    for column in table.columns:
        first: dict[int, float] | None = None
        for row in table.rows:
            use = table.trained(row, column)  # None: no run of the row scores the column
            found = {seed: by_place.get((row, use, seed)) for seed in table.seeds}
            scores = {
                seed: score
                for seed, result in found.items()
                if (score := _score(result, column)) is not None
            }
            cells[row, column.name] = Cell(
                row=row,
                column=column.name,
                scores=scores,
                paper=table.paper.get(row, {}).get(column.name),
                aggregate=table.aggregate,
                greater_is_better=METRICS.get(column.metric, column.name).greater_is_better,
                versus_first=None if first is None else compare(scores, first, test=table.test),
            )
            first = scores if first is None else first
    used = {run.hash for run in runs}
    return Summary(
        table=table,
        cells=cells,
        results=[result for key, result in results.items() if key in used],
        missing=[run.name for run in runs if run.hash not in results],
        others=len(results.keys() - used),
    )


def _score(result: Result | None, column: Column) -> float | None:
    scores: dict[str, Any] = result["scores"].get(column.dataset, {}) if result else {}
    value = scores.get(column.metric)
    return value if isinstance(value, (int, float)) and math.isfinite(value) else None


def compare(scores: dict[int, float], first: dict[int, float], *, test: str) -> Versus | None:
    """Compare two rows by a paired test over their common seeds; None without any.

    ``test`` is ``paired_t`` or ``wilcoxon``.

    Runs with the same seed form a pair, because they share the training subset, the order of the batches
    and the initial weights of the heads.
    """
    seeds = sorted(scores.keys() & first.keys())
    if not seeds:
        return None
    differences = [scores[seed] - first[seed] for seed in seeds]
    p = None
    # Equal differences make the t statistic undefined; zero differences make the ranks undefined.
    if len(seeds) >= FEWEST and max(differences) - min(differences) > 1e-12:
        from scipy import stats  # imported here because it takes a second, too long for --help

        if test == "wilcoxon":
            p = float(stats.wilcoxon(differences).pvalue)
        else:
            ours, theirs = zip(*((scores[seed], first[seed]) for seed in seeds), strict=True)
            p = float(stats.ttest_rel(ours, theirs).pvalue)
    return Versus(statistics.fmean(differences), p, len(seeds))
