"""The command ``mt-dnn new-task``: write a task entry and a run file for files of rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from data_utils.flags import FlagParser, whole_number


def main(args: Sequence[str] | None = None, *, prog: str = "mt-dnn new-task") -> None:
    """Run the command.

    Args:
        args: arguments without the program's name; None takes ``sys.argv[1:]``.
        prog: name of the program in usage and error messages.

    Raises:
        UserError: a file cannot be read, no column fits, or a file would be overwritten.
    """
    parser = FlagParser(
        prog=prog,
        description="Look at files of rows and write a task entry (tasks.yml) and a run (run.yml) with "
        "explicit values, each with its reason as a comment. Check the lines marked UNSURE, edit what you "
        "like, then train: mt-dnn train --config run.yml.",
    )
    parser.add_argument(
        "train",
        type=Path,
        metavar="FILE",
        help="Rows to train on: .csv or .tsv with a header, .jsonl, or CoNLL columns.",
    )
    parser.add_argument("--encoder", required=True, help="As model.encoder of a run.")
    parser.add_argument(
        "--dev",
        type=Path,
        help="Rows to evaluate on. Default: a seeded part of the rows to train on.",
    )
    parser.add_argument("--test", type=Path, help="Rows to score or predict at the end.")
    parser.add_argument("--name", help="Name of the task and the run. Default: from the file name.")
    parser.add_argument("--label", metavar="COLUMN", help="The column of the label.")
    parser.add_argument(
        "--text",
        nargs="+",
        default=[],
        metavar="COLUMN",
        help="The column of the text, or of both texts.",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("."),
        help="Folder of the files that are written. Default: here.",
    )
    parser.add_argument(
        "--seed", type=whole_number(0), default=2018, help="Seed of the split and of the run."
    )
    parser.add_argument("--overwrite", action="store_true", help="Replace files that are there.")
    values = parser.parse_args(args)
    from mt_dnn.new_task.write import Request, new_task  # imports torch; --help should be fast

    request = Request(
        train=values.train,
        dev=values.dev,
        test=values.test,
        encoder=values.encoder,
        name=values.name,
        label=values.label,
        texts=tuple(values.text),
        out=values.out,
        seed=values.seed,
        overwrite=values.overwrite,
    )
    new_task(request, log=print)
