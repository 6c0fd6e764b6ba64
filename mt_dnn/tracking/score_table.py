"""Tables of scores on the console, within 80 columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

MISSING = "-"


@dataclass(frozen=True)
class ScoreRow:
    """One line of the final table. Scores are percentages."""

    dataset: str
    metric: str
    score: float | None
    baseline: float | None
    """Score of always predicting the majority class, or the mean; None if undefined."""
    best_step: int | None
    """Update after which the scored model was saved."""
    in_average: bool = True
    """Whether the metric is the task's metric_for_best. Other metrics are marked as not averaged."""
    interval: tuple[float, float] | None = None
    """Confidence interval of the score; None if it has none."""
    group: str = ""
    """Heading of the part of the table that the row belongs to, such as ``test``. Rows without one are
    those whose average selects the model."""


def print_scores_table(
    rows: Sequence[ScoreRow], *, average: float | None = None, console: Console | None = None
) -> None:
    """Print the scores of the best model, each with its baseline.

    Args:
        rows: the rows whose average selects the model, then the other ones, group by group.
        average: printed below the rows without a group.
    """
    console = console or Console(highlight=False)
    table = Table(
        title="Scores of the best model", title_style="bold", title_justify="left", box=SIMPLE
    )
    table.add_column("dataset", overflow="fold")
    table.add_column("metric", overflow="fold")
    for name in ("score", "baseline", "best step"):
        table.add_column(name, justify="right", no_wrap=True)
    for group in dict.fromkeys(row.group for row in rows):
        if group:
            table.add_section()
            table.add_row(Text(group, style="italic"))
        own = [row for row in rows if row.group == group]
        _add_rows(table, own)
        if not group and average is not None:
            table.add_section()
            table.add_row("average", "", Text(number(average), style="bold"), "", "")
    console.print(table)
    console.print("baseline: always the majority class, or the mean", style="dim")
    if average is not None and not all(row.in_average for row in rows if not row.group):
        console.print("(metric): not part of the average", style="dim")
    if average is not None and any(row.group for row in rows):
        console.print("the data sets above the average selected the model", style="dim")
    if any(row.interval for row in rows):
        console.print("[low, high]: 95% confidence interval", style="dim", markup=False)


def _add_rows(table: Table, rows: Sequence[ScoreRow]) -> None:
    previous = None
    for row in rows:
        score = number(row.score)
        if row.interval is not None:
            score += " [{:.1f}, {:.1f}]".format(*row.interval)
        table.add_row(
            "" if row.dataset == previous else Text(row.dataset),
            Text(row.metric if row.in_average else f"({row.metric})"),
            Text(score, style="bold" if row.in_average else ""),
            number(row.baseline),
            MISSING if row.best_step is None else str(row.best_step),
            style="" if row.in_average else "dim",
        )
        previous = row.dataset


def evaluation_table(
    scores: Sequence[tuple[str, str, float | None, float | None]], *, step: int, average: float
) -> Table:
    """A table of one evaluation during training.

    Args:
        scores: data set, its metric_for_best, the score, and the loss.
        average: over the data sets that select the model.
    """
    table = Table(box=None, pad_edge=False, show_edge=False)
    table.add_column(f"step {step}", overflow="fold")
    table.add_column("metric", overflow="fold")
    table.add_column("score", justify="right", no_wrap=True)
    table.add_column("loss", justify="right", no_wrap=True)
    for dataset, metric, score, loss in scores:
        shown = MISSING if loss is None else f"{loss:.4f}"
        table.add_row(Text(dataset), Text(metric), number(score), shown)
    table.add_row("average", "", number(average), "")
    return table


def number(value: float | None) -> str:
    """Format a score; NaN and None are missing."""
    return MISSING if value is None or value != value else f"{value:.2f}"
