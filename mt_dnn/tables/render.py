"""Render a table's summary as Markdown, LaTeX, CSV and a PNG plot."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_utils.files import write_bytes, write_text
from mt_dnn.tables.aggregate import Cell, Summary
from mt_dnn.tables.choice import Choice, search_notes
from mt_dnn.tables.definition import Table
from mt_dnn.tables.paper_grid import paper_latex, paper_markdown
from mt_dnn.tables.search import in_words
from mt_dnn.tables.significance import FEWEST, TESTS
from mt_dnn.tables.table_plots import plot_table
from mt_dnn.tables.tex import escape

MISSING = "—"
SUFFIXES = (".md", ".tex", ".csv", ".png", "-paper.md", "-paper.tex")


@dataclass(frozen=True)
class Grid:
    """A block of text cells with a title."""

    title: str
    header: list[str]
    rows: list[list[str]]


def write_all(summary: Summary, out: Path, *, command: str, name: str) -> list[Path]:
    """Write {name}.md, .tex, .csv and .png, and {name}-paper.md and .tex, to ``out``.

    Args:
        command: the command that reproduces the table, printed in the footer.
    """
    notes, short = footer(summary, command), footer(summary, command, as_printed=True)
    texts = {
        ".md": markdown(summary, notes),
        ".tex": latex(summary, notes),
        ".csv": table_csv(summary),
        "-paper.md": paper_markdown(summary, short),
        "-paper.tex": paper_latex(summary, short, label=name),
    }
    for suffix, text in texts.items():
        write_text(out / f"{name}{suffix}", text)
    picture = io.BytesIO()
    plot_table(summary).savefig(picture, metadata={"Software": None})  # reproducible bytes
    write_bytes(out / f"{name}.png", picture.getvalue())
    return [out / f"{name}{suffix}" for suffix in SUFFIXES]


def grids(summary: Summary) -> list[Grid]:
    """The overview, one grid of statistics for each column, and one of trials for each search."""
    table, cells = summary.table, summary.cells
    columns = [column.name for column in table.columns]
    overview = [
        [row, *(_overview(cells[row, name], table) for name in columns)] for row in table.rows
    ]
    result = [Grid(f"Overview: {table.over_repeats}", ["", *columns], overview)]
    has_paper = bool(table.paper)
    for name in columns:
        header = ["", "n", "median", "mean ± sd", "best of n"]
        header += ["paper", f"{table.aggregate} − paper"] if has_paper else []
        header += [f"mean − {table.reference}", "p"]
        rows = [_line(cells[row, name], table, has_paper=has_paper) for row in table.rows]
        result.append(Grid(name, header, rows))
    return result + [_trials(choice) for choice in summary.choices]


def _trials(choice: Choice) -> Grid:
    """All combinations of a row's search."""
    rows = []
    for trial in choice.trials:
        scores = trial.scores.values()
        mean = _number(statistics.fmean(scores) if scores else None)
        sd = f" ± {_number(statistics.stdev(scores))}" if len(scores) > 1 else ""
        chosen = "chosen" if trial is choice.chosen else ""
        rows.append(
            [in_words(trial.settings), f"{len(scores)}/{len(trial.runs)}", mean + sd, chosen]
        )
    title = f"Search of {choice.row}: {' + '.join(choice.use)}"
    return Grid(title, ["", "n", "dev mean ± sd", ""], rows)


def _overview(cell: Cell, table: Table) -> str:
    """The aggregate, with the number of runs if some are missing."""
    partial = 0 < cell.n < len(table.repeats)
    return _number(cell.value) + (f" (n = {cell.n})" if partial else "")


def _line(cell: Cell, table: Table, *, has_paper: bool) -> list[str]:
    mean = _number(cell.mean) + ("" if cell.sd is None else f" ± {_number(cell.sd)}")
    versus = cell.versus
    line = [
        *(cell.row, f"{cell.n}/{len(table.repeats)}", _number(cell.median), mean),
        _number(cell.best),
    ]
    if has_paper:
        line += [_number(cell.paper), _number(cell.to_paper, sign=True)]
    if cell.row == table.reference:
        return [*line, "", ""]  # a row is not compared with itself
    difference = _number(versus.difference if versus else None, sign=True)
    return [*line, difference, _p_value(versus.p if versus else None)]


def _number(value: float | None, *, sign: bool = False) -> str:
    if value is None:
        return MISSING
    text = f"{value:+.2f}" if sign else f"{value:.2f}"
    return text.replace("-", "−")


def _p_value(p: float | None) -> str:
    if p is None:
        return MISSING
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def footer(summary: Summary, command: str, *, as_printed: bool = False) -> list[str]:
    """Notes on how the numbers were obtained.

    Args:
        as_printed: leave out what only the full table has: the overview, n, the differences with their p,
            and the paper's numbers. The rendering as papers print it explains its own parts.
    """
    table, results = summary.table, summary.results
    reference = table.reference
    seeds = ", ".join(map(str, table.seeds))
    where, repeats = ("dev set", "seeds") if table.folds is None else ("held-out fold", "runs")
    notes = [
        f"Score of a run: its best evaluation on the {where}, as runs select their model (the average of "
        f"metric_for_best over the run's tasks)"
        + ("." if as_printed else f"; of a cell in the overview: {table.over_repeats}."),
        f"Seeds: {seeds}, the same for every row; all finished ones are included. "
        + (
            ""
            if as_printed
            else f"n: finished {repeats} of the planned ones; sd: of the sample, n − 1. "
        )
        + f"{MISSING}: missing.",
    ]
    test_sets = {dataset for result in results for dataset in result.get("test", ())}
    if reported := [column.name for column in table.columns if column.dataset in test_sets]:
        notes.append(
            f"{', '.join(reported)}: the {where} selected the model of each run, whose score on the test set "
            f"is reported."
        )
    if table.folds is not None:
        notes.append(
            f"{table.folds}-fold cross-validation of the train splits, stratified by label where an example "
            f"has one class, with another partition for each seed; a run is a seed and a fold; the dev "
            f"splits are not used."
        )
    if len(table.rows) > 1 and not as_printed:
        tests = sum(v is not None and v.p is not None for v in _versus(summary))
        notes.append(
            f"mean − {reference}: mean difference to that row over the {repeats} that both have; p: two-sided "
            f"{TESTS[table.test if table.folds is None else 'corrected']} over these pairs, none below {FEWEST} or where all differences are "
            f"equal.{f' {tests} tests, not corrected for their number.' if tests else ''}"
        )
    notes += search_notes(table, summary.choices)
    if table.paper_source and not as_printed:
        notes.append(f"paper: {table.paper_source}.")
    if table.sizes:
        sizes = ", ".join(f"{name} {value}" for name, value in table.sizes.items())
        notes.append(f"Sizes, chosen to fit the machine: {sizes}.")
    if summary.missing:
        shown = ", ".join(summary.missing[:10])
        more = f" and {len(summary.missing) - 10} more" if len(summary.missing) > 10 else ""
        notes.append(f"Missing runs: {shown}{more}.")
    if summary.others:
        notes.append(f"{summary.others} results of runs with other settings or seeds are left out.")
    if summary.conflicts:
        notes.append(
            f"These runs have several results with different scores, of which the last line counts: "
            f"{', '.join(summary.conflicts)}."
        )
    if results:
        seconds = sum(result["wall_seconds"] for result in results)
        notes.append(
            f"{len(results)} runs, {_duration(seconds)} of wall time in all, on "
            f"{_distinct(result['device'] for result in results)}; "
            f"{_code(results)}, torch "
            f"{_distinct(result['packages']['torch'] for result in results)}."
        )
        if changed := _changed_data(summary):
            notes.append(f"The data changed between runs: {', '.join(changed)}.")
    return [*notes, f"Made by: `{command}`"]


def _versus(summary: Summary) -> list:
    return [cell.versus for cell in summary.cells.values()]


def _distinct(values: Iterable[object]) -> str:
    return " and ".join(sorted(set(map(str, values))))


def _code(results: Sequence[dict]) -> str:
    """The code that made the results: commits, or releases where it was installed."""
    commits = [result["commit"] for result in results if result["commit"] is not None]
    releases = [result.get("mt_dnn") for result in results if result["commit"] is None]
    named = (("commit", commits), ("mt-dnn", releases))
    return ", ".join(f"{name} {_distinct(values)}" for name, values in named if values)


def _changed_data(summary: Summary) -> list[str]:
    """Names of splits whose rows differed between the runs."""
    seen: dict[str, set[str]] = {}
    for result in summary.results:
        for split, facts in result["data"].items():
            seen.setdefault(split, set()).add(facts["sha256"])
    return sorted(split for split, hashes in seen.items() if len(hashes) > 1)


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def markdown(summary: Summary, notes: Sequence[str]) -> str:
    parts = [f"# {summary.table.title}", ""]
    for grid in grids(summary):
        parts += [f"## {grid.title}", ""]
        align = ["---", *["---:"] * (len(grid.header) - 1)]
        for line in (grid.header, align, *grid.rows):
            parts.append(f"| {' | '.join(line)} |")
        parts.append("")
    parts += [f"* {note}" for note in notes]
    return "\n".join(parts) + "\n"


def latex(summary: Summary, notes: Sequence[str]) -> str:
    """One table environment for each grid; needs the LaTeX package booktabs."""
    parts = [f"% {summary.table.title}. Needs \\usepackage{{booktabs}}.", ""]
    for grid in grids(summary):
        header, *rows = [
            " & ".join(map(escape, line)) + r" \\" for line in (grid.header, *grid.rows)
        ]
        parts += [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escape(summary.table.title)}. {escape(grid.title)}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(grid.header) - 1)}}}",
            *(r"\toprule", header, r"\midrule", *rows, r"\bottomrule"),
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    parts += [r"\begin{itemize}", *(rf"\item {escape(note)}" for note in notes), r"\end{itemize}"]
    return "\n".join(parts) + "\n"


def table_csv(summary: Summary) -> str:
    """CSV with one line for each cell, in full precision; missing values are empty."""
    names = ("median", "mean", "sd", "best", "paper", "to_paper")
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    difference = f"mean_minus_{summary.table.compare or 'first'}"
    header = ["row", "column", "n", *names, difference, "pairs", "p", "scores"]
    writer.writerow(header)
    for cell in summary.cells.values():
        versus = cell.versus
        compared = [versus.difference, versus.n, versus.p] if versus else [None] * 3
        scores = " ".join(f"{repeat}:{score!r}" for repeat, score in cell.scores.items())
        values = [getattr(cell, name) for name in names]
        writer.writerow([cell.row, cell.column, cell.n, *values, *compared, scores])
    return stream.getvalue()
