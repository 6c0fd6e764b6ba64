"""Render a table as papers print it: one grid of mean ± sd, with best, second and significance."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from mt_dnn.tables.aggregate import Summary
from mt_dnn.tables.significance import FEWEST, TESTS
from mt_dnn.tables.tex import escape, foreign

LEVELS = ((0.01, "**"), (0.05, "*"))
"""Adjusted p values below which a cell gets a mark, the strictest first."""
MISSING = "—"

Rank = Literal["best", "second"]


@dataclass(frozen=True)
class PaperCell:
    """A cell as papers print it."""

    mean: str
    sd: str = ""
    """Empty for a single run."""
    runs: int | None = None
    """Number of finished runs if some are missing."""
    rank: Rank | None = None
    mark: str = ""
    """``*`` or ``**``: differs from the reference row."""


@dataclass(frozen=True)
class PaperGrid:
    """A table as papers print it, before it is formatted."""

    header: list[str]
    names: list[str]
    """Display names of the rows."""
    cells: list[list[PaperCell]]
    """One list for each row."""
    caption: list[str]
    """Sentences."""


def paper_grid(summary: Summary) -> PaperGrid:
    """Arrange a table as papers print it.

    Means that print alike share a rank. There are no ranks where all print alike, and no second best of two.
    """
    table = summary.table
    names = table.names
    header = [
        names.columns.get(column.name, column.name)
        + ("" if summary.cells[table.reference, column.name].greater_is_better else " ↓")
        for column in table.columns
    ]
    columns = [_column(summary, column.name) for column in table.columns]
    ranks = {cell.rank for cells in columns for cell in cells.values()}
    return PaperGrid(
        header=header,
        names=[names.rows.get(row, row) for row in table.rows],
        cells=[[cells[row] for cells in columns] for row in table.rows],
        caption=_caption(summary, ranks),
    )


def _column(summary: Summary, name: str) -> dict[str, PaperCell]:
    table = summary.table
    cells = {row: summary.cells[row, name] for row in table.rows}
    means = {row: _number(cell.mean, table.decimals) for row, cell in cells.items() if cell.n}
    greater = cells[table.reference].greater_is_better
    order = sorted(set(means.values()), key=float, reverse=greater)
    ranks: dict[str, Rank] = {}
    if len(order) > 1:
        marks: tuple[Rank, ...] = ("best", "second") if len(means) > 2 else ("best",)
        ranks = dict(zip(order, marks, strict=False))
    adjusted = summary.adjusted(name)
    found = {}
    for row, cell in cells.items():
        p = adjusted.get(row, 1.0)
        found[row] = PaperCell(
            mean=means.get(row, MISSING).replace("-", "−"),
            sd="" if cell.sd is None else _number(cell.sd, table.decimals),
            runs=cell.n if 0 < cell.n < len(table.repeats) else None,
            rank=ranks.get(means.get(row, "")),
            mark=next((mark for level, mark in LEVELS if p < level), ""),
        )
    return found


def _number(value: float | None, decimals: int) -> str:
    assert value is not None
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text


def _caption(summary: Summary, ranks: Collection[Rank | None]) -> list[str]:
    table = summary.table
    seeds = f"{len(table.seeds)} seed{'s' if len(table.seeds) > 1 else ''}"
    over = seeds if table.folds is None else f"{seeds} and {table.folds} folds"
    where = "dev set" if table.folds is None else "held-out folds"
    sentences = [f"Mean ± standard deviation (of the sample) over {over}, on the {where}."]
    test_sets = {dataset for result in summary.results for dataset in result.get("test", ())}
    if tests := [column.name for column in table.columns if column.dataset in test_sets]:
        shown = ", ".join(table.names.columns.get(name, name) for name in tests)
        sentences[0] = sentences[0].rstrip(".") + f"; {shown}: on the test set, dev selected."
    if "best" in ranks:
        second = ", second best underlined" if "second" in ranks else ""
        sentences.append(f"Best in bold{second}.")
    for row in dict.fromkeys(choice.row for choice in summary.choices):
        search = table.find(row).search
        assert search is not None
        shown = table.names.rows.get(row, row)
        trials = len(search.points)
        sentences.append(f"{shown}: the best on dev of {trials} combinations of settings.")
    if any(cell.versus and cell.versus.p is not None for cell in summary.cells.values()):
        reference = table.names.rows.get(table.reference, table.reference)
        test = TESTS[table.test if table.folds is None else "corrected"]
        sentences.append(
            f"* and **: differs from {reference} with p < 0.05 and p < 0.01 (two-sided {test} over at least "
            f"{FEWEST} pairs with the same seed, p adjusted by Holm's method for the rows of a column)."
        )
    return sentences


def paper_markdown(summary: Summary, notes: Sequence[str]) -> str:
    """Return the grid as Markdown, with ``notes`` below it."""
    grid = paper_grid(summary)
    align = ["---", *["---:"] * len(grid.header)]
    rows = [
        [_md(name), *map(_md_cell, cells)]
        for name, cells in zip(grid.names, grid.cells, strict=True)
    ]
    lines = [["", *map(_md, grid.header)], align, *rows]
    return "\n".join(
        [
            f"# {summary.table.title}",
            "",
            *(f"| {' | '.join(line)} |" for line in lines),
            "",
            _md(" ".join(grid.caption)),
            "",
            *(f"* {note}" for note in notes),
            "",
        ]
    )


def _md_cell(cell: PaperCell) -> str:
    mean = {"best": f"**{cell.mean}**", "second": f"<ins>{cell.mean}</ins>"}.get(
        cell.rank or "", cell.mean
    )
    sd = f" ± {cell.sd}" if cell.sd else ""
    runs = f" (n = {cell.runs})" if cell.runs else ""
    return f"{mean}{_md(cell.mark)}{sd}{runs}"


def _md(text: str) -> str:
    r"""Escape what Markdown would read as markup: ``a_b|c`` -> ``a\_b\|c``."""
    return re.sub(r"([\\`*_|<\[\]])", r"\\\1", text)


def paper_latex(summary: Summary, notes: Sequence[str], *, label: str) -> str:
    r"""Return the grid as a LaTeX table environment; needs the package booktabs.

    Args:
        notes: become comments.
        label: the table gets the label ``tab:label``, without the characters that \label refuses.
    """
    grid = paper_grid(summary)
    caption = [summary.table.title.rstrip(".") + ".", *grid.caption]
    head = [r"% Needs \usepackage{booktabs}."]
    if chars := foreign("".join([*grid.header, *grid.names, *caption])):
        head.append(f"% Needs XeLaTeX or LuaLaTeX and a font with these characters: {chars}")
    rows = [
        " & ".join([escape(name), *map(_tex_cell, cells)]) + r" \\"
        for name, cells in zip(grid.names, grid.cells, strict=True)
    ]
    return "\n".join(
        [
            *head,
            r"\begin{table}[t]",
            r"\centering",
            rf"\begin{{tabular}}{{l{'c' * len(grid.header)}}}",
            r"\toprule",
            " & ".join(["", *map(escape, grid.header)]).strip() + r" \\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            rf"\caption{{{escape(' '.join(caption))}}}",
            rf"\label{{tab:{re.sub('[^A-Za-z0-9:.-]', '-', label)}}}",
            r"\end{table}",
            *(f"% {note}" for note in notes),
            "",
        ]
    )


def _tex_cell(cell: PaperCell) -> str:
    mean = escape(cell.mean)
    mean = {"best": rf"\textbf{{{mean}}}", "second": rf"\underline{{{mean}}}"}.get(
        cell.rank or "", mean
    )
    mark = f"$^{{{cell.mark}}}$" if cell.mark else ""
    sd = rf" {{\scriptsize $\pm$ {cell.sd}}}" if cell.sd else ""
    runs = rf" {{\scriptsize (n = {cell.runs})}}" if cell.runs else ""
    return f"{mean}{mark}{sd}{runs}"
