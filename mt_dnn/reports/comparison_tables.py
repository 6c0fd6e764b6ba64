"""A comparison of two runs as tables of text, and as lines of its flipped examples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from mt_dnn.reports.comparison import Comparison, Flip
from mt_dnn.reports.detail_tables import decimals, table
from mt_dnn.reports.mcnemar import McNemar

SHOWN = 10
"""Flipped examples that are printed."""
WIDTH = 24
"""Characters of a value that are printed."""


def comparison_tables(comparison: Comparison) -> Iterator[RenderableType]:
    """Yield the tables of a data set; the runs are called a and b."""
    title = f"{comparison.dataset}, {comparison.examples} examples"
    made = table(title, "metric", *("a", "b", "b - a [95%]"))
    for row in comparison.metrics:
        if row.first is None or row.second is None:
            shown = "-"
        else:
            shown = decimals(row.second - row.first, "+.2f")
        if row.interval is not None:
            shown += f" [{row.interval[0]:+.2f}, {row.interval[1]:+.2f}]"
        values = ("no scores" if v is None else decimals(v) for v in (row.first, row.second))
        made.add_row(Text(row.metric), *values, Text(shown))
    yield made
    if comparison.test is not None:
        yield Text(_test_line(comparison.test))
    if comparison.classes:
        made = table("", f"F1 by {comparison.kind}", *("a", "b", "b - a", "support"))
        for one in comparison.classes:
            scores = (f"{one.first:.2f}", f"{one.second:.2f}", f"{one.second - one.first:+.2f}")
            made.add_row(Text(one.name), *scores, str(one.support))
        yield made
    if comparison.flips is not None:
        yield from _flips(comparison.flips)


def _test_line(test: McNemar) -> str:
    kind = "exact" if test.exact else "chi-squared"
    return (
        f"McNemar: right in a only {test.first}, in b only {test.second}; p = {test.p:.3g} ({kind})"
    )


def _flips(flips: list[Flip]) -> Iterator[RenderableType]:
    gained = sum(flip.right == "second" for flip in flips)
    more = f"; the first {SHOWN}" if len(flips) > SHOWN else ""
    title = f"flipped: {len(flips)}, {len(flips) - gained} from right to wrong, {gained} from wrong to right"
    yield Text(title + more)
    if flips:
        made = table("", "uid", *("gold", "a", "b", "right"))
        for flip in flips[:SHOWN]:
            values = (Text(_short(value)) for value in (flip.gold, flip.first, flip.second))
            made.add_row(Text(_short(flip.uid)), *values, "a" if flip.right == "first" else "b")
        yield made


def flip_records(comparison: Comparison) -> Iterator[dict[str, Any]]:
    """Yield all flipped examples: data set, uid, gold, both predictions and the run that is right."""
    for flip in comparison.flips or ():
        yield {
            "dataset": comparison.dataset,
            "uid": flip.uid,
            "gold": flip.gold,
            "a": flip.first,
            "b": flip.second,
            "right": "a" if flip.right == "first" else "b",
        }


def _short(value: Any) -> str:
    text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"
