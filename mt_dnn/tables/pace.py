"""Pace: how long the remaining runs of a table will take."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Hashable, Iterable

from mt_dnn.tables.plan import PlannedRun


class Pace:
    """Estimates the time of runs from those that have ended.

    A run is expected to take as long as the ended runs of its row and tasks; else those of its row, whose
    method may cost several times a plain run; else all.

    Args:
        jobs: number of parallel runs.
    """

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self.seconds: dict[Hashable, list[float]] = defaultdict(list)

    def add(self, run: PlannedRun, seconds: float) -> None:
        """Record the time of a run."""
        for kind in _kinds(run):
            self.seconds[kind].append(seconds)

    def left(self, runs: Iterable[PlannedRun]) -> float:
        """Return the seconds until ``runs`` have ended, which are waiting or in progress.

        At least one run must have been added.
        """
        expected = [
            statistics.fmean(next(self.seconds[kind] for kind in _kinds(run) if self.seconds[kind]))
            for run in runs
        ]
        return sum(expected) / max(1, min(self.jobs, len(expected)))


def _kinds(run: PlannedRun) -> tuple[Hashable, ...]:
    """The groups of runs that a run belongs to, the most similar first."""
    return ((run.row, run.trial, run.use), (run.row, run.use), run.row, "all")
