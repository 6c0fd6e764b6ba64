"""Compute a paper's table on this machine: ``mt-dnn table experiments/smart/study2.yml``."""

from __future__ import annotations

import os
import shlex
from argparse import Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from pathlib import Path

from data_utils.errors import UserError
from data_utils.flags import FlagParser, whole_number
from data_utils.registry import choices_hint
from mt_dnn.config.run_format import NUMERICS
from mt_dnn.tables.definition import Table
from mt_dnn.tables.file import load_table
from mt_dnn.tables.plan import PlannedRun, plan
from mt_dnn.tables.results import FILE, result_files
from mt_dnn.tables.shares import runs_of, share_argument

EPILOG = """\
Required keys of a table file:
  base         a run config, as a path or inline
  rows         name -> settings that the row changes
  columns      dataset.metric -> use: the tasks that its runs train
  seeds        a list of numbers
Optional keys:
  title
  sizes        settings reduced to fit the machine; printed under the table
  folds        number of folds: cross-validate on the train splits
  aggregate    median (default), mean or best
  test         paired_t (default) or wilcoxon
  compare      row that all others are compared with; default: the first
  paper        source, and scores: row -> column -> number
  stages       runs that rows start from, but that are not rows of the table
  names        rows and columns: name -> display name in NAME-paper.md and NAME-paper.tex
  decimals     digits after the point in these two files; default: 1
  curves       panel -> columns to plot over their number of training examples
  keep_models  false deletes the models of finished runs

Besides settings, a row or stage may have these keys. With `use: [tasks]`, one run trains these tasks
together and every column reads it. With `start: NAME`, its runs start from the encoder of the run
with the same seed (and fold) of that stage or earlier row. A row with `search: {optim.lr: [1e-5, 5e-5],
trials: 8}` runs every combination of these values, or a random part, and reports the one with the best
mean dev score over the seeds.

An override file (--override) adapts a table to another encoder, data and machine. Its settings and
sizes apply to every row, and its rows and stages (name -> settings) to single ones. It may select
seeds, use (tasks) and columns, add a title, and extend another override file (extends).

Every (row, use, seed, fold) is one training run under OUT/runs. Finished runs are recorded in
OUT/results.jsonl and are not repeated. A stopped run resumes from its checkpoint. A run is
identified by its resolved settings: when a row changes, only that row is run again, and several
tables may share one OUT.

With --shard 2/8, a command runs one share of the table. Shares with the same OUT may run at the same time;
each writes OUT/results-2-of-8.jsonl. Shares with their own OUT are joined by --merge.
"""


def main(args: Sequence[str] | None = None, *, prog: str = "mt-dnn table") -> int:
    """Run and render a table; ``args`` defaults to those of the process.

    Returns:
        Exit code: 0, or 1 if a run failed.
    """
    options = _parse(args, prog)
    from mt_dnn.tables.checks import check_columns  # imports torch; --help should be fast

    table = _load(options)
    runs = plan(table)
    out = Path(options.out or f"results/{Path(options.table).stem}")
    if options.shard and options.render_only:
        raise UserError(
            "--shard runs a share and renders nothing; leave out --render_only or --shard"
        )
    check_columns(table)
    if options.merge:
        _merge(out, options.merge)
    failed: list[PlannedRun] = []
    if options.render_only:
        if (numerics := _numerics(out)) != NUMERICS:
            runs = plan(table, numerics)
    else:
        failed = _run(options, table, runs, out)
    if options.shard and not failed:
        print(f"share {options.shard} is done; when all are, render the table by --render_only")
    elif not options.shard and (not failed or result_files(out)):
        _render(options, table, runs, out)
    if failed:
        print(f"{len(failed)} runs failed; run the same command again to retry them.")
    return 1 if failed else 0


def _parse(args: Sequence[str] | None, prog: str = "mt-dnn table") -> Namespace:
    parser = FlagParser(
        prog=prog,
        description=__doc__,
        epilog=EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("table", help="table file")
    add("--out", help="output folder; default: results/NAME")
    add("--jobs", type=whole_number(1), default=1, help="number of parallel runs; default: 1")
    add(
        "--threads",
        type=whole_number(1),
        help="CPU threads of each run; default: OMP_NUM_THREADS, else cores / jobs",
    )
    add("--gpus", nargs="+", default=[], help="CUDA devices for the runs, such as 0 1 2")
    add("--render_only", action="store_true", help="render existing results; run nothing")
    add(
        "--shard",
        type=share_argument,
        metavar="K/N",
        help="run share K of N of the table, such as 2/8; the others run elsewhere",
    )
    add(
        "--merge",
        nargs="+",
        default=[],
        metavar="FILE",
        help="first add the results of these files, such as other/results*.jsonl, to OUT/results.jsonl",
    )
    add(
        "--only",
        nargs="+",
        metavar="ROW",
        help="run only these rows or stages, and the runs they start from; renders all rows",
    )
    add("--override", metavar="FILE", help="override file, for another encoder or machine")
    add(
        "--use",
        nargs="+",
        default=(),
        metavar="TASK",
        help="train only these tasks; removes columns and parts of mixtures that need others",
    )
    add(
        "--seeds", nargs="+", type=whole_number(0), help="seeds, instead of those in the table file"
    )
    add(
        "--set",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="settings of all runs, such as train.epochs=1; settings of a row take precedence",
    )
    return parser.parse_args(args)


def _load(options: Namespace) -> Table:
    return load_table(
        options.table,
        override=options.override,
        use=options.use,
        seeds=options.seeds,
        overrides=options.set,
    )


def _run(options: Namespace, table: Table, runs: list[PlannedRun], out: Path) -> list[PlannedRun]:
    from mt_dnn.tables.runs import Machine, TableRuns

    names = [*table.rows, *table.stages]
    for row in options.only or ():
        if row not in names:
            raise UserError(f"--only: no row {row!r}.{choices_hint(row, names)}")
    if options.shard:
        runs = runs_of(options.shard, runs)
    chosen = [run for run in runs if not options.only or run.row in options.only]
    threads = options.threads or _omp_threads() or max(1, _cores() // options.jobs)
    machine = Machine(jobs=options.jobs, threads=threads, gpus=tuple(options.gpus))
    return TableRuns(
        out, machine, keep_models=table.keep_models, share=options.shard, print_line=_print_line
    ).run_missing(chosen)


def _merge(out: Path, paths: Sequence[str]) -> None:
    from mt_dnn.tables.merge import merge

    merged = merge(out, [Path(path) for path in paths])
    print(f"{merged.added} results added to {out / FILE}; {merged.known} were there already")
    for conflict in merged.conflicts:
        print(f"different scores of one run, of which the first counts: {conflict.message}")


def _numerics(out: Path) -> int:
    """Return the newest version of the numbers that ``out`` has results of, and say if it is an old one."""
    from mt_dnn.tables.results import read_results

    found = [result.get("numerics", 1) for result in read_results(out).values()]
    numerics = max(found, default=NUMERICS)
    if numerics < NUMERICS:
        print(
            f"note: the results in {out} are of a version that computes other numbers (numerics {numerics}, "
            f"now {NUMERICS}); without --render_only all runs are run again"
        )
    return numerics


def _cores() -> int:
    """Number of CPU cores that this process may use, if known, else of the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _omp_threads() -> int | None:
    """Return the threads that OMP_NUM_THREADS sets, of nested levels the first; None if it sets none."""
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(first) if first.isdecimal() and int(first) else None


def _print_line(line: str) -> None:
    print(line, flush=True)


def _render(options: Namespace, table: Table, runs: list[PlannedRun], out: Path) -> None:
    from mt_dnn.tables.aggregate import summarize
    from mt_dnn.tables.merge import conflicts
    from mt_dnn.tables.render import footer, grids, write_all
    from mt_dnn.tables.results import read_results

    results = read_results(out)
    if not results:
        raise UserError(f"nothing to render: {out / FILE} does not exist or is empty")
    summary = summarize(table, runs, results, conflicts(result_files(out)))
    command = _command(options)
    paths = write_all(summary, out, command=command, name=Path(options.table).stem)
    overview = grids(summary)[0]
    widths = [max(map(len, column)) for column in zip(overview.header, *overview.rows, strict=True)]
    print(f"\n{table.title}\n{overview.title}")
    for first, *others in (overview.header, *overview.rows):
        cells = [text.rjust(width) for text, width in zip(others, widths[1:], strict=True)]
        print("  ".join([first.ljust(widths[0]), *cells]))
    print("\n".join(["", *footer(summary, command), "", *map(str, paths)]))


def _command(options: Namespace) -> str:
    """The command that reproduces the table, without options that affect only its speed."""
    words = ["mt-dnn", "table", options.table]
    for name in ("override", "out", "use", "seeds", "set"):
        value = getattr(options, name)
        if value:
            words += [f"--{name}", *(map(str, value) if isinstance(value, list) else [value])]
    return shlex.join(words)
