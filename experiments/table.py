"""A paper's table on this machine: ``python -m experiments.table experiments/smart/study.yml``."""

from __future__ import annotations

import dataclasses
import os
import shlex
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

from data_utils.cli import run_cli
from data_utils.registry import UserError, choices_hint
from experiments.run_settings import parse_settings
from experiments.table_file import PlannedRun, Table, load_table, plan

EPILOG = """\
A table file names base (a run config, as a path or inline), rows (name -> settings that the row
changes), columns (dataset.metric -> use: the tasks that its runs train), seeds; and may name title,
sizes (settings cut to fit the machine, printed under the table), aggregate (median, mean, best),
test (paired_t, wilcoxon), paper (source, scores: row -> column -> number) and keep_models.

Every (row, use, seed) is one run of train.py under OUT/runs. Finished runs stand in
OUT/results.jsonl and are never run again; a stopped one goes on from its checkpoint. A run is known
by its resolved settings, so a changed row is run again and no other.
"""


def main(args: Sequence[str] | None = None) -> int:
    """Exit code: 0, or 1 where a run failed."""
    options = _parse(args)
    table = load_table(options.table, seeds=options.seeds, overrides=options.set)
    if options.use:
        table = _restricted(table, options.use)
    runs = plan(table)
    out = Path(options.out or f"results/{Path(options.table).stem}")
    failed: list[PlannedRun] = []
    if not options.render_only:
        _check_columns(table)
        failed = _run(options, table, runs, out)
    _render(options, table, runs, out)
    if failed:
        print(f"{len(failed)} runs failed; the same command tries them again.")
    return 1 if failed else 0


def _parse(args: Sequence[str] | None) -> Namespace:
    from argparse import RawDescriptionHelpFormatter

    parser = ArgumentParser(
        prog="python -m experiments.table",
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
    add("--only", nargs="+", metavar="ROW", help="run these rows only; all are rendered")
    add("--use", nargs="+", metavar="TASK", help="only the columns whose runs train these tasks")
    add("--seeds", nargs="+", type=int, help="instead of the file's")
    add(
        *("--set",),
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="settings of every run, such as train.epochs=1; what a row sets itself stays",
    )
    return parser.parse_args(args)


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
    from data_utils.task_def import dataset_name
    from data_utils.task_file import load_task_file

    for row, changes in table.rows.items():
        config = parse_settings(table.base | changes, f"{table.path}: row {row!r}")
        tasks = load_task_file(config.data.tasks)
        for column in table.columns:
            where = f"{table.path}: column {column.name!r}"
            METRICS.get(column.metric, where)
            for name in column.use:
                if name not in tasks:
                    raise UserError(
                        f"{where}: {config.data.tasks} has no task {name!r}."
                        f"{choices_hint(name, tasks)}"
                    )
            scores = [
                f"{dataset_name(name, split)}.{metric}"
                for name in column.use
                for split in tasks[name].splits("dev")
                for metric in tasks[name].metrics
                if METRICS.get(metric).is_number
            ]
            if column.name not in scores:
                raise UserError(f"{where}: no such score.{choices_hint(column.name, scores)}")


def _restricted(table: Table, use: Sequence[str]) -> Table:
    """The table's columns whose runs train none but these tasks.

    Raises:
        UserError: no column trains one of them.
    """
    tasks = {task for column in table.columns for task in column.use}
    for task in use:
        if task not in tasks:
            raise UserError(f"--use: no column trains {task!r}.{choices_hint(task, tasks)}")
    columns = tuple(column for column in table.columns if set(column.use) <= set(use))
    return dataclasses.replace(table, columns=columns)


def _run(options: Namespace, table: Table, runs: list[PlannedRun], out: Path) -> list[PlannedRun]:
    from experiments.table_runs import Machine, TableRuns

    for row in options.only or ():
        if row not in table.rows:
            raise UserError(f"--only: no row {row!r}.{choices_hint(row, table.rows)}")
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
    from experiments.aggregate import summarize
    from experiments.render import footer, grids, write_all
    from experiments.results import FILE, read_results

    results = read_results(out)
    if not results:
        raise UserError(f"nothing to render: {out / FILE} does not exist or is empty")
    summary = summarize(table, runs, results)
    command = _command(options)
    paths = write_all(summary, out, command=command)
    overview = grids(summary)[0]
    widths = [max(map(len, column)) for column in zip(overview.header, *overview.rows, strict=True)]
    print(f"\n{table.title}\n{overview.title}")
    for first, *others in (overview.header, *overview.rows):
        cells = [text.rjust(width) for text, width in zip(others, widths[1:], strict=True)]
        print("  ".join([first.ljust(widths[0]), *cells]))
    print("\n".join(["", *footer(summary, command), "", *map(str, paths)]))


def _command(options: Namespace) -> str:
    """What computes and renders the table again, without what only says how fast."""
    words = ["python", "-m", "experiments.table", options.table]
    for name in ("out", "use", "seeds", "set"):
        value = getattr(options, name)
        if value:
            words += [f"--{name}", *(map(str, value) if isinstance(value, list) else [value])]
    return shlex.join(words)


if __name__ == "__main__":
    run_cli(main)
