"""The details in scores.json as tables of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.box import SIMPLE
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from mt_dnn.inference.details.intervals import with_interval

MOST_CONFUSED = 10
"""Pairs of classes that are listed."""


def table(title: str, first: str, *columns: str) -> Table:
    """Return an empty table: a column of names, then columns of numbers."""
    made = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE, pad_edge=False)
    made.add_column(first, overflow="fold")
    for column in columns:
        made.add_column(column, justify="right", no_wrap=True)
    return made


def detail_tables(scores: dict[str, Any], dataset: str) -> Iterator[RenderableType]:
    """Yield the tables of a data set: scores, then its details.

    Args:
        scores: content of scores.json.
        dataset: one of its data sets.
    """
    detail = scores.get("details", {}).get(dataset, {})
    intervals = scores.get("intervals", {}).get(dataset, {})
    count = f", {detail['examples']} examples" if "examples" in detail else ""
    overview = table(f"{dataset}{count}", "metric", "score [95%]", "baseline")
    baselines = scores.get("baselines", {}).get(dataset, {})
    for metric, value in scores["scores"].get(dataset, {}).items():
        if isinstance(value, (int, float)):
            own = baselines.get(metric)
            shown = with_interval(value, intervals.get(metric))
            overview.add_row(Text(metric), Text(shown), "-" if own is None else f"{own:.2f}")
    yield overview
    if classes := detail.get("classes"):
        yield _classes(classes)
    if confusion := detail.get("confusion"):
        yield from _confused(confusion)
    if calibration := detail.get("calibration"):
        yield _calibration(calibration)
    if ranges := detail.get("ranges"):
        yield _ranges(ranges)
    if answers := detail.get("answers"):
        yield _answers(answers)


def _classes(classes: dict[str, Any]) -> Table:
    made = table(
        "percent; support: gold " + ("entities" if classes["kind"] == "entity" else "decisions"),
        classes["kind"],
        *("precision", "recall", "F1", "support"),
    )
    for row in classes["rows"]:
        scores = (f"{row[key]:.2f}" for key in ("precision", "recall", "f1"))
        made.add_row(Text(row["name"]), *scores, str(row["support"]))
    return made


def _confused(confusion: dict[str, Any]) -> Iterator[Table]:
    """Yield the most frequent confusions: a matrix of many classes is wider than a terminal."""
    labels, counts = confusion["labels"], confusion["counts"]
    pairs = [
        (count, labels[gold], labels[predicted])
        for gold, row in enumerate(counts)
        for predicted, count in enumerate(row)
        if gold != predicted and count
    ]
    if pairs:
        made = table("most frequent confusions", "gold", "predicted", "count")
        for count, gold, predicted in sorted(pairs, key=lambda pair: -pair[0])[:MOST_CONFUSED]:
            made.add_row(Text(gold), Text(predicted), str(count))
        yield made


def _calibration(calibration: dict[str, Any]) -> Table:
    title = f"calibration: expected error {calibration['ece']:.2f}"
    made = table(title, "confidence", *("mean", "accuracy", "count"))
    for row in calibration["bins"]:
        name = f"{100 * row['low']:.0f} to {100 * row['high']:.0f}"
        made.add_row(name, f"{row['confidence']:.1f}", f"{row['accuracy']:.1f}", str(row["count"]))
    return made


def _ranges(ranges: Sequence[dict[str, Any]]) -> Table:
    made = table("error by gold value", "gold", *("count", "bias", "MAE", "RMSE"))
    for row in ranges:
        name = f"{row['low']:g} to {row['high']:g}"
        errors = (f"{row['bias']:+.3f}", f"{row['mae']:.3f}", f"{row['rmse']:.3f}")
        made.add_row(name, str(row["count"]), *errors)
    return made


def _answers(answers: dict[str, dict[str, float]]) -> Table:
    metrics = [name for name in next(iter(answers.values())) if name != "examples"]
    made = table("with and without an answer", "questions", "count", *metrics)
    for key, own in answers.items():
        made.add_row(f"{key} an answer", str(own["examples"]), *(f"{own[m]:.2f}" for m in metrics))
    return made
