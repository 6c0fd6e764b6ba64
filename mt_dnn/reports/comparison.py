"""Two runs on the same examples: differences of scores and classes, and the examples that flipped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from data_utils.errors import UserError
from data_utils.metrics.base import Metric, Results, Undefined
from data_utils.metrics.outcome import Outcome
from data_utils.registries import FORMATS, METRICS
from data_utils.task_def import TaskDef
from mt_dnn.inference.details.classes import class_rows, word_rows
from mt_dnn.inference.details.decisions import right_examples
from mt_dnn.inference.details.intervals import Interval, difference
from mt_dnn.inference.details.predictions import in_words
from mt_dnn.inference.details.texts import source_groups, unchanged_source
from mt_dnn.reports.mcnemar import McNemar, mcnemar
from mt_dnn.reports.score_file import MISSING
from mt_dnn.reports.scored_run import ScoredRun

ONE_DECISION = (Outcome.BINARY, Outcome.CLASS, Outcome.POSITION, Outcome.SET)
"""Outcomes of one decision per example, to which McNemar's test applies."""
WITH_CLASSES = (Outcome.BINARY, Outcome.CLASS, Outcome.CANDIDATES, Outcome.WORDS, Outcome.SET)


@dataclass(frozen=True)
class MetricDifference:
    """A score of both runs."""

    metric: str
    first: float | None
    """NaN if it is undefined for the data. None if the metric needs scores, and the predictions of the
    run have none."""
    second: float | None
    interval: Interval | None
    """95% interval of second - first; None if the metric declares no statistics."""


@dataclass(frozen=True)
class ClassDifference:
    """F1 of a class, a label or an entity type in both runs, in percent."""

    name: str
    first: float
    second: float
    support: int


@dataclass(frozen=True)
class Flip:
    """An example that one run alone has right; values are label words."""

    uid: str
    gold: Any
    first: Any
    second: Any
    right: str
    """Which run is right: ``first`` or ``second``."""


@dataclass(frozen=True)
class Comparison:
    """Two runs on one data set."""

    dataset: str
    examples: int
    metrics: list[MetricDifference]
    kind: str
    """What the classes are: class, label or entity."""
    classes: list[ClassDifference]
    """Empty where the task has no classes."""
    test: McNemar | None
    """None unless each example is one decision and examples are independent."""
    flips: list[Flip] | None
    """None where no prediction is right or wrong, as of numbers."""


def compare_dataset(first: ScoredRun, second: ScoredRun, dataset: str) -> Comparison:
    """Compare the predictions of two runs on a data set.

    Raises:
        UserError: the runs predicted other examples, labels or tasks, or a file is damaged.
    """
    task, outcome = first.tasks[dataset], first.outcome(dataset)
    for key in ("task_type", "labels"):
        values = [getattr(run.tasks[dataset], key) for run in (first, second)]
        if values[0] != values[1]:
            raise UserError(
                f"data set {dataset!r}: {key} is {values[0]!s:.80} in {first.name} and {values[1]!s:.80} in "
                f"{second.name}; runs are compared on the same task"
            )
    one = first.results(dataset)
    other = _in_order(second.results(dataset), one, dataset, (first.name, second.name))
    groups = _groups(first, dataset, one)
    metrics = [
        _metric_difference(name, one, other, groups)
        for name in task.metrics
        if METRICS.get(name).is_number
    ]
    kind, classes = _classes(outcome, one, other)
    right = [right_examples(results, outcome) for results in (one, other)]
    test = flips = None
    if right[0] is not None and right[1] is not None:
        turned = np.flatnonzero(right[0] != right[1])
        flips = [_flip(task, one, other, int(i), bool(right[0][i])) for i in turned]
        if outcome in ONE_DECISION and not _are_clustered(task):
            gained = sum(flip.right == "second" for flip in flips)
            test = mcnemar(len(flips) - gained, gained)
    return Comparison(dataset, len(one.gold), metrics, kind, classes, test, flips)


def _in_order(results: Results, model: Results, dataset: str, names: tuple[str, str]) -> Results:
    """Return results in the order of the examples of ``model``.

    Raises:
        UserError: they are of other examples, or the gold labels of an example differ.
    """
    wanted, given = _keys(model.uids), _keys(results.uids)
    places = {key: place for place, key in enumerate(given)}
    if len(wanted) != len(given) or set(wanted) != set(given):
        only = [[k for k in a if k not in b] for a, b in ((wanted, places), (given, set(wanted)))]
        example = (only[0] or only[1])[0][0]
        raise UserError(
            f"data set {dataset!r}: the runs predicted different examples: {len(only[0])} are only in "
            f"{names[0]} and {len(only[1])} only in {names[1]}, such as uid {example!r}. Compare runs on "
            f"the same rows"
        )
    order = [places[key] for key in wanted]
    gold = [results.gold[i] for i in order]
    for uid, own, theirs in zip(model.uids, model.gold, gold, strict=True):
        if own != theirs:
            raise UserError(
                f"data set {dataset!r}: the label of uid {uid!r} differs: {own!s:.60} in {names[0]} and "
                f"{theirs!s:.60} in {names[1]}. Compare runs on the same rows"
            )
    scores = None if results.scores is None else [results.scores[i] for i in order]
    return replace(
        results,
        gold=gold,
        predicted=[results.predicted[i] for i in order],
        scores=scores,
        uids=model.uids,
    )


def _keys(uids: Sequence[str]) -> list[tuple[str, int]]:
    """Return each uid with the number of times that it occurred before."""
    seen: Counter[str] = Counter()
    keys = []
    for uid in uids:
        keys.append((uid, seen[uid]))
        seen[uid] += 1
    return keys


def _groups(run: ScoredRun, dataset: str, results: Results) -> list[str] | None:
    """Return groups of examples with one passage, if the rows are still where the run read them."""
    task, split = run.tasks[dataset], run.splits.get(dataset)
    if split is None or FORMATS.get(task.data_format).shared_column is None:
        return None
    source = unchanged_source(task, split, run.data_dir, run.sources.get(dataset, ""))
    return None if source is None else source_groups(source, task, results.uids)


def _metric_difference(
    name: str, one: Results, other: Results, groups: list[str] | None
) -> MetricDifference:
    metric = METRICS.get(name)
    first, second = (_score(metric, results) for results in (one, other))
    return MetricDifference(name, first, second, difference(metric, one, other, groups))


def _score(metric: Metric, results: Results) -> float | None:
    """Return the score, NaN where it is undefined; None if it needs scores that there are not."""
    if not metric.has_scores(results):
        return None
    try:
        return float(metric.score(results))
    except Undefined:
        return MISSING


def _classes(
    outcome: Outcome | None, one: Results, other: Results
) -> tuple[str, list[ClassDifference]]:
    """Return what the classes are, and the F1 of each in both runs."""
    if outcome not in WITH_CLASSES:
        return "class", []
    rows = word_rows if outcome is Outcome.WORDS else class_rows
    first, second = rows(one), rows(other)
    own, theirs = ({row["name"]: row for row in found["rows"]} for found in (first, second))
    names = list(dict.fromkeys([*own, *theirs]))
    absent = {"f1": 0.0, "support": 0}  # an entity type that one run alone predicts
    return first["kind"], [
        ClassDifference(
            name,
            own.get(name, absent)["f1"],
            theirs.get(name, absent)["f1"],
            own.get(name, absent)["support"],
        )
        for name in names
    ]


def _flip(task: TaskDef, one: Results, other: Results, place: int, first_is_right: bool) -> Flip:
    gold, first, second = (
        in_words(task, side[place]) for side in (one.gold, one.predicted, other.predicted)
    )
    return Flip(one.uids[place], gold, first, second, "first" if first_is_right else "second")


def _are_clustered(task: TaskDef) -> bool:
    """Whether a metric of the task declares that examples are not independent."""
    declared = (METRICS.get(name).statistics for name in task.metrics)
    return any(own is not None and own.clusters is not None for own in declared)
