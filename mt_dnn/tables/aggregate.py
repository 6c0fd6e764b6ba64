"""Aggregate results over seeds into the cells of a table."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from data_utils.registries import METRICS
from mt_dnn.tables.definition import Column, Repeat, Table
from mt_dnn.tables.plan import PlannedRun
from mt_dnn.tables.results import Result

FEWEST = 3
"""Smallest number of pairs for a significance test; the spread of two pairs means little."""


@dataclass(frozen=True)
class Versus:
    """Comparison of a cell with the first row's cell, over the repeats that both have."""

    difference: float
    """Mean over repeats of this row's score minus the first row's."""
    p: float | None
    """Two-sided p value; None for fewer than three pairs, or if all differences are equal."""
    n: int
    """Number of pairs."""


@dataclass(frozen=True)
class Cell:
    """Scores of one row in one column. Each statistic is None while no run has finished."""

    row: str
    column: str
    scores: dict[Repeat, float]
    """By seed and fold, for those whose run has finished. A seed may have some of its folds."""
    paper: float | None
    aggregate: str
    greater_is_better: bool
    versus_first: Versus | None
    """None in the first row itself, and if the two rows have no repeat in common."""

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
    by_place: dict[tuple[str, tuple[str, ...] | None, Repeat], Result | None] = {
        (run.row, run.use, run.repeat): results.get(run.hash) for run in runs
    }
    cells: dict[tuple[str, str], Cell] = {}
    for column in table.columns:
        first: dict[Repeat, float] | None = None
        for row in table.rows:
            use = table.trained(row, column)  # None: no run of the row scores the column
            found = {repeat: by_place.get((row, use, repeat)) for repeat in table.repeats}
            scores = {
                repeat: score
                for repeat, result in found.items()
                if (score := _score(result, column)) is not None
            }
            cells[row, column.name] = Cell(
                row=row,
                column=column.name,
                scores=scores,
                paper=table.paper.get(row, {}).get(column.name),
                aggregate=table.aggregate,
                greater_is_better=METRICS.get(column.metric, column.name).greater_is_better,
                versus_first=None
                if first is None
                else compare(scores, first, test=table.test, folds=table.folds),
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


def compare(
    scores: dict[Repeat, float], first: dict[Repeat, float], *, test: str, folds: int | None = None
) -> Versus | None:
    """Compare two rows by a paired test over their common repeats; None without any.

    Runs with the same seed and fold form a pair, because they share the training subset, the order of
    the batches, the initial weights of the heads, and the held-out fold.

    Args:
        test: ``paired_t`` or ``wilcoxon``.
        folds: number of folds; ``paired_t`` is then :func:`corrected_t`.
    """
    pairs = sorted(scores.keys() & first.keys())
    if not pairs:
        return None
    differences = [scores[pair] - first[pair] for pair in pairs]
    p = None
    # Equal differences make the t statistic undefined; zero differences make the ranks undefined.
    if len(pairs) >= FEWEST and max(differences) - min(differences) > 1e-12:
        from scipy import stats  # imported here because it takes a second, too long for --help

        if folds is not None:
            p = corrected_t(differences, folds=folds)
        elif test == "wilcoxon":
            p = float(stats.wilcoxon(differences).pvalue)
        else:
            ours, theirs = zip(*((scores[pair], first[pair]) for pair in pairs), strict=True)
            p = float(stats.ttest_rel(ours, theirs).pvalue)
    return Versus(statistics.fmean(differences), p, len(pairs))


def corrected_t(differences: Sequence[float], *, folds: int) -> float:
    """Compute the two-sided p value of the corrected resampled t-test.

    With n differences of mean m and sample variance s^2, and k folds::

        t = m / sqrt((1 / n + n_test / n_train) s^2),    n_test / n_train = 1 / (k - 1)

    and n - 1 degrees of freedom. The training sets of two folds overlap, so the differences are not
    independent, and the variance s^2 / n of the plain paired test is too small.

    Source: Nadeau and Bengio 2003 (Inference for the generalization error, Machine Learning 52).
    """
    from scipy import stats

    n = len(differences)
    variance = (1 / n + 1 / (folds - 1)) * statistics.variance(differences)
    t = statistics.fmean(differences) / math.sqrt(variance)
    return float(2 * stats.t.sf(abs(t), n - 1))
