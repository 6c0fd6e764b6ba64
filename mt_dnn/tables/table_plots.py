"""Plots of a table: the scores of every cell, or curves over the number of training examples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mt_dnn.tables.aggregate import Cell, Summary
from mt_dnn.tables.definition import Column, Table
from mt_dnn.tables.results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#5f6b73", "#1f5f8b", "#b5482a", "#3f7d4e", "#8a5a9e", "#b08a1e")
"""Colours of the curves, in the order of the rows. Their markers distinguish them in greyscale."""
MARKERS = "osD^vP"


def plot_table(summary: Summary) -> Figure:
    """Plot the table's curves if it defines any whose columns are present, else its cells."""
    return plot_curves(summary) if summary.table.panels else plot_cells(summary)


def plot_cells(summary: Summary) -> Figure:
    """Plot a panel for each column: seeds (and folds) as dots, the aggregate as a bar, the paper as a cross."""
    from matplotlib.figure import Figure

    table = summary.table
    rows, columns = list(table.rows), table.columns
    size = (1.6 + 2.3 * len(columns), 1.0 + 0.32 * len(rows))
    drawing = Figure(figsize=size, dpi=120, layout="constrained")
    panels = drawing.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    for axes, column in zip(panels, columns, strict=True):
        for y, row in enumerate(rows):
            cell = summary.cells[row, column.name]
            axes.plot([*cell.scores.values()], [y] * cell.n, "o", color="#8a8a8a", alpha=0.6, ms=4)
            if cell.value is not None:
                axes.plot([cell.value], [y], "|", color="#1f5f8b", ms=14, mew=2.5)
            if cell.paper is not None:
                axes.plot([cell.paper], [y], "x", color="#b5482a", ms=6)
        axes.set_title(column.name, fontsize=10)
        axes.grid(axis="x", color="#e5e5e5")
        axes.set_axisbelow(True)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(length=0, labelsize=8)
    panels[0].set_yticks(range(len(rows)), rows)
    panels[0].set_ylim(len(rows) - 0.5, -0.5)
    crosses = ", cross: the paper's number" if table.paper else ""
    drawing.suptitle(
        f"{table.title}\ndot: {_dot(table)}, bar: {table.over_repeats}{crosses}", fontsize=10
    )
    return drawing


def plot_curves(summary: Summary) -> Figure:
    """Plot a panel for each curve of the table: score over training examples, a line for each row.

    Dots are seeds (and folds), the line connects the aggregates, and the dashed line connects the paper's numbers.
    The x position of a column is the number of examples that our runs trained on, also for the paper's
    numbers. Columns without a finished run are omitted.
    """
    from matplotlib.figure import Figure

    table = summary.table
    size = (1.0 + 4.6 * len(table.panels), 4.2)
    drawing = Figure(figsize=size, dpi=120, layout="constrained")
    panels = drawing.subplots(1, len(table.panels), squeeze=False)[0]
    for axes, (title, names) in zip(panels, table.panels.items(), strict=True):
        places = {
            column.name: examples
            for column in table.columns
            if column.name in names
            and (examples := training_examples(column, summary.results)) is not None
        }
        for number, row in enumerate(table.rows):
            own = [summary.cells[row, name] for name in places]
            _line(axes, own, [*places.values()], number)
        axes.set_xscale("log")
        axes.set_xticks([*places.values()], [f"{n:,}" for n in places.values()], fontsize=8)
        axes.minorticks_off()
        axes.set_xlabel("training examples", fontsize=9)
        axes.set_ylabel(" and ".join(sorted({c.metric for c in table.columns})), fontsize=9)
        axes.set_title(title, fontsize=10)
        axes.grid(color="#e5e5e5")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(length=0, labelsize=8)
    if panels[0].lines:  # without a finished run a legend would be empty
        panels[0].legend(fontsize=8, frameon=False, loc="lower right")
    dashed = ", dashed: the paper" if table.paper else ""
    drawing.suptitle(
        f"{table.title}\ndot: {_dot(table)}, line: {table.over_repeats}{dashed}", fontsize=10
    )
    return drawing


def _dot(table: Table) -> str:
    return "a seed" if table.folds is None else "a seed and fold"


def _line(axes: Axes, cells: list[Cell], places: list[int], number: int) -> None:
    colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
    for cell, place in zip(cells, places, strict=True):
        axes.plot([place] * cell.n, [*cell.scores.values()], "o", color=colour, alpha=0.35, ms=3)
    found = [(x, cell.value) for cell, x in zip(cells, places, strict=True) if cell.n]
    if found:
        x, y = zip(*found, strict=True)
        axes.plot(x, y, color=colour, marker=marker, ms=5, lw=1.8, label=cells[0].row)
    paper = [(x, c.paper) for c, x in zip(cells, places, strict=True) if c.paper is not None]
    if paper:
        x, y = zip(*paper, strict=True)
        axes.plot(x, y, color=colour, ls="--", lw=1)


def training_examples(column: Column, results: list[Result]) -> int | None:
    """Number of examples that the column's runs trained on; None while no run has finished."""
    for result in results:
        rows = [result["data"].get(f"{task}_train", {}).get("rows") for task in column.use]
        if tuple(result["use"]) == column.use and None not in rows:
            limit, own = (result["config"].get(f"data.train_limit{s}") for s in ("", "s"))
            limits = [(own or {}).get(task, limit) for task in column.use]
            if folds := result["config"].get("data.folds"):
                rows = [round(n * (folds - 1) / folds) for n in rows]
            pairs = zip(rows, limits, strict=True)
            return sum(n if most is None else min(n, most) for n, most in pairs)
    return None
