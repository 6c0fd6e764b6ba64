"""Scores against their baselines, of one run and of several beside each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from data_utils.errors import UserError
from mt_dnn.reports.run_record import RunRecord
from mt_dnn.reports.score_file import MISSING, ScoreFile


@dataclass(frozen=True)
class Strip:
    """The places of a score, its interval and its baseline between 0 and 100 percent of a strip."""

    score: float
    baseline: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class ScoreRow:
    """A score with its baseline."""

    dataset: str
    metric: str
    is_main: bool
    """Whether the metric is the task's metric_for_best."""
    score: float
    interval: tuple[float, float] | None
    baseline: float
    strip: Strip | None
    """None for a metric that is no percentage."""
    warning: str
    """Why the score does not show that the model learned; empty where it does."""


@dataclass(frozen=True)
class ScoresView:
    """The scores of a run, in tables of dev and of test sets."""

    step: int
    average: float
    averaged: list[str]
    """The data sets whose average selected the model; empty where the run did not record it."""
    groups: list[tuple[str, list[ScoreRow]]]
    """Title and rows."""
    losses: dict[str, float]
    has_intervals: bool


def scores_view(run: RunRecord) -> ScoresView | None:
    """The scores of a run; None while it has none."""
    file = run.scores
    if file is None or not any(file.scores.values()):
        return None
    rows = [_row(run, file, name, metric) for name, own in file.scores.items() for metric in own]
    groups = [
        ("Development sets", [row for row in rows if row.dataset not in file.test]),
        ("Test sets", [row for row in rows if row.dataset in file.test]),
    ]
    return ScoresView(
        step=file.step,
        average=file.average,
        averaged=file.selected_on,
        groups=[(title, part) for title, part in groups if part],
        losses=file.losses,
        has_intervals=any(row.interval for row in rows),
    )


def greater_is_better(metric: str) -> bool:
    """The direction of a metric; of one that is not registered here, as from a plugin, True."""
    from data_utils.registries import METRICS

    try:
        return METRICS.get(metric).greater_is_better
    except UserError:
        return True


def _row(run: RunRecord, file: ScoreFile, dataset: str, metric: str) -> ScoreRow:
    score = file.scores[dataset][metric]
    baseline = file.baselines.get(dataset, {}).get(metric, MISSING)
    interval = file.intervals.get(dataset, {}).get(metric)
    return ScoreRow(
        dataset=dataset,
        metric=metric,
        is_main=metric == run.main_metric(dataset),
        score=score,
        interval=interval,
        baseline=baseline,
        strip=_strip(score, baseline, interval) if greater_is_better(metric) else None,
        warning=_warning(metric, score, baseline, interval),
    )


def _strip(score: float, baseline: float, interval: tuple[float, float] | None) -> Strip | None:
    known = [value for value in (score, baseline, *(interval or ())) if math.isfinite(value)]
    if not math.isfinite(score) or min(known) < -100 or max(known) > 100:
        return None
    low = -100.0 if min(known) < 0 else 0.0

    def place(value: float) -> float:
        return round(100 * (value - low) / (100 - low), 2)

    return Strip(
        score=place(score),
        baseline=place(baseline) if math.isfinite(baseline) else None,
        interval=(place(interval[0]), place(interval[1])) if interval else None,
    )


def _warning(
    metric: str, score: float, baseline: float, interval: tuple[float, float] | None
) -> str:
    if not (math.isfinite(score) and math.isfinite(baseline)):
        return ""
    sign = 1 if greater_is_better(metric) else -1
    if sign * (score - baseline) <= 0:
        return "not better than the baseline"
    worst = min(sign * end for end in interval) if interval else math.nan
    return "the interval contains the baseline" if worst <= sign * baseline else ""


@dataclass(frozen=True)
class ComparedRow:
    """A metric of a data set in several runs."""

    dataset: str
    metric: str
    is_main: bool
    is_test: bool
    baseline: float
    cells: list[tuple[float, tuple[float, float] | None, bool]]
    """For each run its score (NaN: none), interval, and whether it is the best of the runs."""


def compared_scores(runs: Sequence[RunRecord]) -> list[ComparedRow]:
    """One row for each data set and metric that any of the runs has."""
    files = [run.scores for run in runs]
    places: dict[tuple[str, str], RunRecord] = {}
    for run in runs:
        for dataset, own in (run.scores.scores if run.scores else {}).items():
            for metric in own:
                places.setdefault((dataset, metric), run)
    rows = []
    for (dataset, metric), owner in places.items():
        scores = [
            file.scores.get(dataset, {}).get(metric, MISSING) if file else MISSING for file in files
        ]
        known = [score for score in scores if math.isfinite(score)]
        best = (max if greater_is_better(metric) else min)(known, default=MISSING)
        rows.append(
            ComparedRow(
                dataset=dataset,
                metric=metric,
                is_main=metric == owner.main_metric(dataset),
                is_test=any(file is not None and dataset in file.test for file in files),
                baseline=next(
                    (
                        file.baselines[dataset][metric]
                        for file in files
                        if file and metric in file.baselines.get(dataset, {})
                    ),
                    MISSING,
                ),
                cells=[
                    (
                        score,
                        file.intervals.get(dataset, {}).get(metric) if file else None,
                        score == best and len(set(known)) > 1,
                    )
                    for score, file in zip(scores, files, strict=True)
                ],
            )
        )
    return sorted(rows, key=lambda row: row.is_test)
