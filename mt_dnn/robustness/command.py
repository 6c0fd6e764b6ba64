"""The command ``mt-dnn robustness``: finished runs on perturbed texts, challenge sets and attacked embeddings."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from data_utils import strict_json
from data_utils.files import write_text
from data_utils.flags import FlagParser, whole_number
from data_utils.plugins import add_plugins_flag, import_plugins
from mt_dnn.reports.robustness import FILE
from mt_dnn.robustness.settings import (
    RADII,
    Radius,
    Settings,
    parse_challenges,
    parse_perturbations,
)

WIDTH = 400
"""Greatest width of a table that is not printed on a terminal."""


def robustness(
    runs: Sequence[str], settings: Settings | None = None, plugins: tuple[str, ...] = ()
) -> list[dict]:
    """Measure runs, write robustness.json into each of their folders, and renew the page of each that has one.

    Args:
        runs: run directories.
        settings: what is measured; None: the defaults of the command.
        plugins: modules to import first.

    Returns:
        What was written, one for each run.

    Raises:
        UserError: see :meth:`mt_dnn.robustness.suite.Suite.measure`. Nothing is written then.

    Example::

        from mt_dnn.robustness.command import robustness
        from mt_dnn.robustness.settings import Settings

        (record,) = robustness(["runs/a"], Settings(perturbations={"swap_letters": 0.2}, radii=()))
        record["datasets"]["sst2"]["perturbations"]["swap_letters"]["metrics"]["ACC"]
    """
    # Imported after parsing, because these modules import torch and --help should be fast.
    from mt_dnn.reports.page import FILE as PAGE
    from mt_dnn.reports.page import write_report
    from mt_dnn.robustness.run_data import read_finished_run
    from mt_dnn.robustness.suite import Suite, common_datasets

    settings = settings or Settings()
    import_plugins(plugins)
    read = [read_finished_run(run) for run in runs]
    suite = Suite(
        settings, common_datasets(read, settings), lambda line: print(line, file=sys.stderr)
    )
    records = [suite.measure(run, plugins) for run in read]
    for run, record in zip(read, records, strict=True):
        write_text(run.folder / FILE, strict_json.dumps(record, indent=2) + "\n")
        if (run.folder / PAGE).is_file():
            write_report([run.folder])
    return records


def main(args: Sequence[str] | None = None, *, prog: str = "mt-dnn robustness") -> None:
    """Run the command.

    Args:
        args: arguments without the program's name; None takes ``sys.argv[1:]``.
        prog: name of the program in usage and error messages.
    """
    parser = FlagParser(
        prog=prog,
        description="Score finished runs on perturbed texts, on challenge sets, and under the attack of SMART on the "
        "word embeddings. Several runs are measured on the same texts.",
    )
    add = parser.add_argument
    add("runs", nargs="+", metavar="RUN", help="Run directories.")
    add(
        "--dataset",
        nargs="+",
        default=[],
        metavar="NAME",
        help="Data sets; default: all dev sets that the runs have in common.",
    )
    add(
        "--perturb",
        nargs="*",
        metavar="NAME[=RATE]",
        help="Perturbations of the texts (`mt-dnn list perturbation`), each with its rate, the share of the places "
        "that it changes. Default: all that fit the data; without a name, none.",
    )
    add(
        "--radius",
        nargs="*",
        default=list(RADII),
        metavar="R",
        help="Radii of the attack: a number bounds each coordinate of a word embedding; with a percent sign it is a "
        "share of the root mean square of the first run's embeddings. Without a value, no attack.",
    )
    add("--steps", type=whole_number(1), default=3, help="Steps of gradient ascent of the attack.")
    add(
        "--on_loss",
        action="store_true",
        help="Ascend the supervised loss, which takes the labels, in place of SMART's divergence.",
    )
    add(
        "--attack_rows",
        type=whole_number(1),
        default=500,
        help="Random rows of each data set to attack.",
    )
    add(
        "--challenge",
        nargs="+",
        default=[],
        metavar="KIND=FILE",
        help="Challenge sets (`mt-dnn list challenge`), such as hans=heuristics_evaluation_set.txt.",
    )
    add("--task", help="Task of the challenge sets, where several tasks of a run fit.")
    add(
        "--seed",
        type=whole_number(0),
        default=0,
        help="Seed of perturbations, sampled rows and noise.",
    )
    add_plugins_flag(parser)
    options = parser.parse_args(args)
    import_plugins(options.plugins, "--plugins")
    settings = Settings(
        datasets=tuple(options.dataset),
        perturbations=parse_perturbations(options.perturb),
        radii=tuple(map(Radius.parse, options.radius)),
        steps=options.steps,
        on_loss=options.on_loss,
        attack_rows=options.attack_rows,
        challenges=parse_challenges(options.challenge),
        task=options.task,
        seed=options.seed,
    )
    records = robustness(options.runs, settings, options.plugins)

    from rich.console import Console

    from mt_dnn.reports.page import run_names
    from mt_dnn.robustness.tables import robustness_tables

    # A file or a pipe has no width to which columns would have to be cut.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    for part in robustness_tables(run_names(options.runs), records):
        console.print(part)
    for run in options.runs:
        console.print(f"written: {Path(run) / FILE}", markup=False, soft_wrap=True)
