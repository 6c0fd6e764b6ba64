"""Choose the combination of a row's search by the dev scores of its runs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from data_utils.registries import METRICS
from mt_dnn.tables.definition import Column, Repeat, Table
from mt_dnn.tables.plan import PlannedRun
from mt_dnn.tables.results import Result
from mt_dnn.tables.search import in_words, value_in_words
from mt_dnn.tables.settings import Settings

Place = tuple[str, tuple[str, ...] | None, Repeat]
"""Row, tasks of the run, and its repeat."""


@dataclass(frozen=True)
class Trial:
    """One combination of a search, for the runs that train the same tasks."""

    settings: Settings
    scores: dict[Repeat, float]
    """Dev score by seed and fold, for those whose run has finished; greater is better."""
    runs: dict[Repeat, PlannedRun]

    @property
    def finished(self) -> bool:
        """Whether every seed and fold has a score."""
        return self.scores.keys() == self.runs.keys()

    @property
    def mean(self) -> float:
        """Mean dev score over seeds and folds; minus infinity while some are missing."""
        return statistics.fmean(self.scores.values()) if self.finished else -math.inf


@dataclass(frozen=True)
class Choice:
    """The trials of a row's search for the runs that train the same tasks."""

    row: str
    use: tuple[str, ...]
    trials: tuple[Trial, ...]

    @property
    def chosen(self) -> Trial | None:
        """The finished trial with the best mean, the first of equal ones; None without a finished trial."""
        finished = [trial for trial in self.trials if trial.finished]
        return max(finished, key=lambda trial: trial.mean, default=None)


def choose(
    table: Table, runs: Sequence[PlannedRun], results: dict[str, Result]
) -> dict[tuple[str, tuple[str, ...]], Choice]:
    """Choose a combination for each row with a search and each of its sets of tasks.

    Trials are compared by the mean over all seeds and folds of the score that a run selects its model on:
    ``average`` in its scores.json. A trial counts once all of its runs have finished. If some results of
    the trials have no average, because an older version wrote them, all of these trials are compared by the
    mean of the table's columns of dev scores instead.

    Args:
        runs: the planned runs of the table.
        results: by run hash.
    """
    found: dict[tuple[str, tuple[str, ...]], list[PlannedRun]] = {}
    for run in runs:
        if run.trial is not None:
            found.setdefault((run.row, run.use), []).append(run)
    choices = {}
    for (row, use), own in found.items():
        there = {run.hash: results[run.hash] for run in own if run.hash in results}
        columns = [column for column in table.columns if table.trained(row, column) == use]
        old = any("average" not in result for result in there.values())
        scores = {
            key: _columns(result, columns) if old else result["average"]
            for key, result in there.items()
        }
        trials = [
            Trial(
                settings,
                runs={run.repeat: run for run in own if run.trial == index},
                scores={
                    run.repeat: score
                    for run in own
                    if run.trial == index and (score := scores.get(run.hash)) is not None
                },
            )
            for index, settings in enumerate(table.trials(row))
        ]
        choices[row, use] = Choice(row, use, tuple(trials))
    return choices


def _columns(result: Result, columns: Iterable[Column]) -> float | None:
    """Mean of the dev scores that the table shows of a run, negative where smaller is better."""
    scores = []
    for column in columns:
        if column.dataset not in result.get("test", ()):
            value = result["scores"].get(column.dataset, {}).get(column.metric)
            if value is None:
                return None
            scores.append(value if METRICS.get(column.metric).greater_is_better else -value)
    return statistics.fmean(scores) if scores else None


def search_notes(table: Table, choices: Iterable[Choice]) -> list[str]:
    """Notes for the footer: what was searched, how it was chosen, and what was chosen."""
    choices = list(choices)
    if not choices:
        return []
    over = "seeds" if table.folds is None else "seeds and folds"
    notes = [
        f"Search: every combination is run with every seed, and the runs of the one with the best mean over all "
        f"{over} of the dev score (what runs select their model on) are reported. These scores are those that "
        f"chose, so dev scores of such rows are slightly too high, the more so the more trials; p takes "
        f"no account of it. results.jsonl has all trials."
    ]
    for row in dict.fromkeys(choice.row for choice in choices):
        search = table.find(row).search
        assert search is not None
        grid = ", ".join(
            f"{name} {{{', '.join(map(value_in_words, values))}}}"
            for name, values in search.grid.items()
        )
        part = "all" if search.trials is None else f"{search.trials} at random of"
        chosen = "; ".join(_in_words(choice) for choice in choices if choice.row == row)
        notes.append(
            f"Search of {row}: {part} {search.size} combinations of {grid}. Chosen: {chosen}."
        )
    return notes


def _in_words(choice: Choice) -> str:
    count = len(choice.trials)
    finished = sum(trial.finished for trial in choice.trials)
    trials = f"{count} trials" if finished == count else f"{finished} of {count} trials finished"
    best = choice.chosen
    what = "none yet" if best is None else f"{in_words(best.settings)} (dev {best.mean:.2f})"
    return f"{' + '.join(choice.use)}: {what}, {trials}"
