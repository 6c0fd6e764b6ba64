"""The details in scores.json as tables of text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rich.box import SIMPLE
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from mt_dnn.inference.details.intervals import with_interval
from mt_dnn.reports.score_file import MISSING, Confusion, Details, Range, ScoreFile

MOST_CONFUSED = 10
"""Pairs of classes that are listed."""


def table(title: str, first: str, *columns: str) -> Table:
    """Return an empty table: a column of names, then columns of numbers."""
    made = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE, pad_edge=False)
    made.add_column(first, overflow="fold")
    for column in columns:
        made.add_column(column, justify="right", no_wrap=True)
    return made


def decimals(value: float, form: str = ".2f") -> str:
    """Format a number; NaN, which is undefined or missing, is a dash."""
    return "-" if math.isnan(value) else format(value, form)


def detail_tables(scores: ScoreFile, dataset: str) -> Iterator[RenderableType]:
    """Yield the tables of a data set: scores, then its details.

    Args:
        dataset: a data set of ``scores``.
    """
    detail = scores.details.get(dataset, Details())
    intervals = scores.intervals.get(dataset, {})
    count = "" if detail.examples is None else f", {detail.examples} examples"
    overview = table(f"{dataset}{count}", "metric", "score [95%]", "baseline")
    baselines = scores.baselines.get(dataset, {})
    for metric, value in scores.scores.get(dataset, {}).items():
        shown = "-" if math.isnan(value) else with_interval(value, intervals.get(metric))
        overview.add_row(Text(metric), Text(shown), decimals(baselines.get(metric, MISSING)))
    yield overview
    if detail.classes:
        yield _classes(detail)
    if detail.confusion:
        yield from _confused(detail.confusion)
    if detail.bins:
        yield _calibration(detail)
    if detail.ranges:
        yield _ranges(detail.ranges)
    if detail.answers:
        yield _answers(detail.answers)


def _classes(detail: Details) -> Table:
    made = table(
        "percent; support: gold " + ("entities" if detail.kind == "entity" else "decisions"),
        detail.kind,
        *("precision", "recall", "F1", "support"),
    )
    for row in detail.classes:
        scores = (f"{value:.2f}" for value in (row.precision, row.recall, row.f1))
        made.add_row(Text(row.name), *scores, str(row.support))
    return made


def _confused(confusion: Confusion) -> Iterator[Table]:
    """Yield the most frequent confusions: a matrix of many classes is wider than a terminal."""
    labels = confusion.labels
    pairs = [
        (count, labels[gold], labels[predicted])
        for gold, row in enumerate(confusion.counts)
        for predicted, count in enumerate(row)
        if gold != predicted and count
    ]
    if pairs:
        made = table("most frequent confusions", "gold", "predicted", "count")
        for count, gold, predicted in sorted(pairs, key=lambda pair: -pair[0])[:MOST_CONFUSED]:
            made.add_row(Text(gold), Text(predicted), str(count))
        yield made


def _calibration(detail: Details) -> Table:
    title = f"calibration: expected error {detail.ece:.2f}"
    made = table(title, "confidence", *("mean", "accuracy", "count"))
    for row in detail.bins:
        name = f"{100 * row.low:.0f} to {100 * row.high:.0f}"
        made.add_row(name, f"{row.confidence:.1f}", f"{row.accuracy:.1f}", str(row.count))
    return made


def _ranges(ranges: Sequence[Range]) -> Table:
    made = table("error by gold value", "gold", *("count", "bias", "MAE", "RMSE"))
    for row in ranges:
        errors = (f"{row.bias:+.3f}", f"{row.mae:.3f}", f"{row.rmse:.3f}")
        made.add_row(f"{row.low:g} to {row.high:g}", str(row.count), *errors)
    return made


def _answers(answers: dict[str, dict[str, float]]) -> Table:
    metrics = [name for name in next(iter(answers.values())) if name != "examples"]
    made = table("with and without an answer", "questions", "count", *metrics)
    for key, own in answers.items():
        values = (f"{own[name]:.2f}" for name in metrics)
        made.add_row(f"{key} an answer", f"{own['examples']:.0f}", *values)
    return made
