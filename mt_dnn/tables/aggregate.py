"""Aggregate results over seeds into the cells of a table."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from data_utils.registries import METRICS
from mt_dnn.tables.choice import Choice, Place, choose
from mt_dnn.tables.definition import Column, Repeat, Table
from mt_dnn.tables.merge import Conflict
from mt_dnn.tables.plan import PlannedRun
from mt_dnn.tables.results import Result
from mt_dnn.tables.significance import Versus, compare, holm


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
    versus: Versus | None
    """Comparison with the reference row; None in that row, and without a common repeat."""

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
    choices: list[Choice] = field(default_factory=list)
    """One for each row with a search and each set of tasks that its runs train."""
    conflicts: list[str] = field(default_factory=list)
    """Names of the runs that have results with different scores."""

    def adjusted(self, column: str) -> dict[str, float]:
        """By row, the p values of a column, adjusted for its number of tests by :func:`holm`."""
        versus = {row: self.cells[row, column].versus for row in self.table.rows}
        return holm({row: v.p for row, v in versus.items() if v is not None and v.p is not None})


def summarize(
    table: Table,
    runs: Sequence[PlannedRun],
    results: dict[str, Result],
    conflicts: Iterable[Conflict] = (),
) -> Summary:
    """Compute the cells of ``table``. A row with a search has the scores of the combination chosen.

    Args:
        runs: the planned runs of the table.
        results: by run hash.
        conflicts: results that differ from others of the same run.
    """
    choices = choose(table, runs, results)
    reported = [run for run in runs if run.trial is None]
    for choice in choices.values():
        reported += choice.chosen.runs.values() if choice.chosen else ()
    by_place: dict[Place, Result | None] = {
        (run.row, run.use, run.repeat): results.get(run.hash) for run in reported
    }
    cells: dict[tuple[str, str], Cell] = {}
    for column in table.columns:
        scores = {row: _scores(table, row, column, by_place) for row in table.rows}
        reference = scores[table.reference]
        for row, own in scores.items():
            cells[row, column.name] = Cell(
                row=row,
                column=column.name,
                scores=own,
                paper=table.paper.get(row, {}).get(column.name),
                aggregate=table.aggregate,
                greater_is_better=METRICS.get(column.metric, column.name).greater_is_better,
                versus=None
                if row == table.reference
                else compare(own, reference, test=table.test, folds=table.folds),
            )
    used = {run.hash for run in runs}
    return Summary(
        table=table,
        cells=cells,
        results=[result for key, result in results.items() if key in used],
        missing=[run.name for run in runs if run.hash not in results],
        others=len(results.keys() - used),
        choices=list(choices.values()),
        conflicts=sorted({conflict.run for conflict in conflicts if conflict.hash in used}),
    )


def _scores(
    table: Table,
    row: str,
    column: Column,
    by_place: Mapping[Place, Result | None],
) -> dict[Repeat, float]:
    """The finished scores of a cell, by seed and fold."""
    use = table.trained(row, column)  # None: no run of the row scores the column
    found = {repeat: by_place.get((row, use, repeat)) for repeat in table.repeats}
    return {
        repeat: score
        for repeat, result in found.items()
        if (score := _score(result, column)) is not None
    }


def _score(result: Result | None, column: Column) -> float | None:
    scores: dict[str, Any] = result["scores"].get(column.dataset, {}) if result else {}
    value = scores.get(column.metric)
    return value if isinstance(value, (int, float)) and math.isfinite(value) else None
