"""Compute a paper's table on this machine: ``mt-dnn table experiments/smart/study.yml``."""

from __future__ import annotations

import os
import shlex
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

from data_utils.errors import UserError
from data_utils.registry import choices_hint
from data_utils.task_def import TaskDef, dataset_name
from mt_dnn.tables.definition import Table
from mt_dnn.tables.file import load_table
from mt_dnn.tables.plan import PlannedRun, plan
from mt_dnn.tables.results import FILE
from mt_dnn.tables.settings import parse_settings

EPILOG = """\
A table file names base (a run config, as a path or inline), rows (name -> settings that the row
changes), columns (dataset.metric -> use: the tasks that its runs train), seeds; and may name title,
sizes (settings cut to fit the machine, printed under the table), aggregate (median, mean, best),
test (paired_t, wilcoxon), paper (source, scores: row -> column -> number), curves (panel -> columns
drawn over their number of training examples) and keep_models.

A row may also say `use: [tasks]`, so that ONE run trains them together and every column reads it,
and `start: NAME`, so that its runs go on from the encoder of that row's or stage's run of the same
seed. stages are such runs that are no rows of the table.

An override file (--override) fits a table to another encoder, its data and its machine: settings
and sizes, which go over every row; rows and stages (name -> settings), which go over that one;
seeds, use (the tasks there are) and columns to keep; title; extends (another such file).

Every (row, use, seed) is one training run under OUT/runs. Finished runs stand in
OUT/results.jsonl and are never run again; a stopped one goes on from its checkpoint. A run is known
by its resolved settings, so a changed row is run again and no other; tables may share one OUT.
"""


def main(args: Sequence[str] | None = None, *, prog: str = "mt-dnn table") -> int:
    """Run and render a table; ``args`` defaults to those of the process.

    Returns:
        Exit code: 0, or 1 where a run failed.
    """
    options = _parse(args, prog)
    table = _load(options)
    runs = plan(table)
    out = Path(options.out or f"results/{Path(options.table).stem}")
    failed: list[PlannedRun] = []
    if not options.render_only:
        _check_columns(table)
        failed = _run(options, table, runs, out)
    if not failed or (out / FILE).exists():
        _render(options, table, runs, out)
    if failed:
        print(f"{len(failed)} runs failed; the same command tries them again.")
    return 1 if failed else 0


def _parse(args: Sequence[str] | None, prog: str = "mt-dnn table") -> Namespace:
    from argparse import RawDescriptionHelpFormatter

    parser = ArgumentParser(
        prog=prog,
        description=__doc__,
        epilog=EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("table", help="table file")
    add("--out", help="folder of the table; default results/NAME")
    add("--jobs", type=_positive, default=1, help="runs at once; default 1")
    add("--threads", type=_positive, help="CPU threads of each run; default cores / jobs")
    add("--gpus", nargs="+", default=[], help="CUDA devices to deal the runs to, such as 0 1 2")
    add("--render_only", action="store_true", help="render what there is; run nothing")
    add(
        "--only",
        nargs="+",
        metavar="ROW",
        help="run these rows (or stages) only, and what they start from; all are rendered",
    )
    add("--override", metavar="FILE", help="another encoder's settings, sizes, tasks and seeds")
    add(
        *("--use",),
        nargs="+",
        default=(),
        metavar="TASK",
        help="train these tasks alone: columns of others are left out, mixtures get smaller",
    )
    add("--seeds", nargs="+", type=int, help="instead of the file's")
    add(
        *("--set",),
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="settings of every run, such as train.epochs=1; what a row sets itself stays",
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


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _check_columns(table: Table) -> None:
    """Find a misspelt column before the first run, not after the last.

    Raises:
        UserError: a task or score that the runs will not have.
    """
    from data_utils.metrics import METRICS
    from mt_dnn.task_types import load_tasks

    for name in (*table.rows, *table.stages):
        config = parse_settings(table.settings(name), f"{table.path}: row {name!r}")
        tasks = load_tasks(config.data.tasks)
        columns = [] if name in table.stages else table.columns
        if columns and not any(table.trained(name, column) for column in columns):
            raise UserError(f"{table.path}: row {name!r}: use: it trains no column's tasks")
        for column in columns:
            where = f"{table.path}: column {column.name!r}"
            METRICS.get(column.metric, where)
            use = table.trained(name, column)
            for task in use or ():
                _check_task(task, tasks, f"{where}: {config.data.tasks}")
            scores = [
                f"{dataset_name(task, split)}.{metric}"
                for task in use or ()
                for split in tasks[task].splits("dev")
                for metric in tasks[task].metrics
                if METRICS.get(metric).is_number
            ]
            if use and column.name not in scores:
                raise UserError(f"{where}: no such score.{choices_hint(column.name, scores)}")
        for task in table.find(name).use:
            _check_task(task, tasks, f"{table.path}: {name!r}: use: {config.data.tasks}")


def _check_task(name: str, tasks: dict[str, TaskDef], where: str) -> None:
    if name not in tasks:
        raise UserError(f"{where} has no task {name!r}.{choices_hint(name, tasks)}")


def _run(options: Namespace, table: Table, runs: list[PlannedRun], out: Path) -> list[PlannedRun]:
    from mt_dnn.tables.runs import Machine, TableRuns

    names = [*table.rows, *table.stages]
    for row in options.only or ():
        if row not in names:
            raise UserError(f"--only: no row {row!r}.{choices_hint(row, names)}")
    chosen = [run for run in runs if not options.only or run.row in options.only]
    threads = options.threads or max(1, _cores() // options.jobs)
    machine = Machine(jobs=options.jobs, threads=threads, gpus=tuple(options.gpus))
    return TableRuns(out, machine, keep_models=table.keep_models, say=_say).run_missing(chosen)


def _cores() -> int:
    """Those that this process may use, where the system can tell."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _say(line: str) -> None:
    print(line, flush=True)


def _render(options: Namespace, table: Table, runs: list[PlannedRun], out: Path) -> None:
    from mt_dnn.tables.aggregate import summarize
    from mt_dnn.tables.render import footer, grids, write_all
    from mt_dnn.tables.results import read_results

    results = read_results(out)
    if not results:
        raise UserError(f"nothing to render: {out / FILE} does not exist or is empty")
    summary = summarize(table, runs, results)
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
    """What computes and renders the table again, without what only says how fast."""
    words = ["mt-dnn", "table", options.table]
    for name in ("override", "out", "use", "seeds", "set"):
        value = getattr(options, name)
        if value:
            words += [f"--{name}", *(map(str, value) if isinstance(value, list) else [value])]
    return shlex.join(words)
