"""The command ``mt-dnn compare``: the details of one run, or two runs on the same examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from data_utils import strict_json
from data_utils.errors import UserError
from data_utils.flags import FlagParser
from data_utils.outputs import open_output
from data_utils.plugins import add_plugins_flag, import_plugins
from data_utils.registry import choices_hint
from mt_dnn.reports.detail_tables import detail_tables
from mt_dnn.reports.scored_run import ScoredRun, read_scored_run
from mt_dnn.reports.undefined import without_stand_ins


def compare(
    runs: Sequence[str],
    dataset: Sequence[str] = (),
    out: str | None = None,
    plugins: Sequence[str] = (),
) -> None:
    """Print the details of a run, or compare the predictions of two.

    Args:
        runs: one or two run directories.
        dataset: data sets to show; by default all.
        out: file of JSON lines for all examples that one of two runs alone has right.
        plugins: modules to import first, which register metrics and task types of the runs.

    Raises:
        UserError: a run cannot be read, the runs predicted different examples, they have no data set in
            common, or a data set is unknown.
    """
    if not 1 <= len(runs) <= 2:
        raise UserError(f"compare takes one or two run directories, not {len(runs)}")
    if out is not None and len(runs) == 1:
        raise UserError("--out: it takes the examples that flipped between two runs; name two runs")
    if out is not None and Path(out).is_file() and Path(out).suffix != ".jsonl":
        raise UserError(
            f"--out: {out} exists and is no file of flips; name one that ends in .jsonl"
        )
    import_plugins(plugins)
    read = [read_scored_run(run) for run in runs]
    if len(read) == 1:
        known = read[0].scored
    else:
        known = [name for name in read[0].datasets if name in read[1].datasets]
        if not known:
            raise UserError(
                f"{runs[0]} and {runs[1]} have no predictions on a data set in common: "
                f"{', '.join(read[0].datasets) or 'none'} and {', '.join(read[1].datasets) or 'none'}"
            )
    for name in dataset:
        if name not in known:
            where = "the run has" if len(read) == 1 else "the runs have in common"
            raise UserError(f"--dataset: {name!r} is none that {where}.{choices_hint(name, known)}")
    chosen = list(dataset) or known
    if len(read) == 1:
        _show(read[0], chosen)
    else:
        _compare(read[0], read[1], chosen, out)


def _show(run: ScoredRun, datasets: list[str]) -> None:
    console = Console(highlight=False)
    for name in datasets:
        scores = run.with_details(name)
        scores = replace(scores, scores={name: scores.scores[name]})
        scores = without_stand_ins(scores, run.folder)
        for part in detail_tables(scores, name):
            console.print(part)
        if name not in scores.details:
            line = f"no details: the run has no predictions/{name}.jsonl"
            console.print(line, style="dim", markup=False)


def _compare(first: ScoredRun, second: ScoredRun, datasets: list[str], out: str | None) -> None:
    # Imported here because it imports the data formats, and these import transformers.
    from mt_dnn.reports.comparison import compare_dataset
    from mt_dnn.reports.comparison_tables import comparison_tables, flip_records

    console = Console(highlight=False)
    console.print(f"a: {first.name}\nb: {second.name}\n", markup=False, soft_wrap=True)
    found = [compare_dataset(first, second, name) for name in datasets]
    for comparison in found:
        for part in comparison_tables(comparison):
            console.print(part)
    if out is not None:
        source = str(first.folder / "scores.json")
        with open_output(out, source=source, setting="--out") as stream:
            for comparison in found:
                for record in flip_records(comparison):
                    stream.write(strict_json.dumps(record) + "\n")
        console.print(f"written: {out}", markup=False, soft_wrap=True)


def main(args: Sequence[str] | None = None, *, prog: str = "mt-dnn compare") -> None:
    """Run the command.

    Args:
        args: arguments without the program's name; None takes ``sys.argv[1:]``.
        prog: name of the program in usage and error messages.
    """
    parser = FlagParser(
        prog=prog,
        description="With one run, print its scores by class, range of the gold value and so on. With two, "
        "compare their predictions on the same examples.",
    )
    add = parser.add_argument
    add("runs", nargs="+", metavar="RUN", help="One or two run directories.")
    add("--dataset", nargs="+", default=[], metavar="NAME", help="Data sets to show; default: all.")
    add("--out", metavar="FILE", help="Write all examples that flipped, as JSON lines.")
    add_plugins_flag(parser)
    options = parser.parse_args(args)
    compare(options.runs, options.dataset, options.out, options.plugins)
