"""The command ``mt-dnn prepare``, also available as ``python prepro.py``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mt_dnn.config.parser import located, parse_with, run_parser


def main(args: Sequence[str] | None = None, *, prog: str = "mt-dnn prepare") -> None:
    """Run the command.

    Args:
        args: arguments without the program's name; None takes ``sys.argv[1:]``.
        prog: name of the program in usage and error messages.
    """
    parser = run_parser(
        prog,
        "Tokenize the rows of every task into stores that training reads. Accepts all settings "
        "of a training run; only data.* and model.encoder matter.",
    )
    parser.add_argument(
        "--export_jsonl",
        type=str,
        metavar="FOLDER",
        help="Also export each store to this folder as MT-DNN's tokenized rows, {task}_{split}.json.",
    )
    config, values = parse_with(parser, args)
    from mt_dnn.runs.stores import prepare_all  # imports torch; --help should be fast

    folder = values.export_jsonl
    with located(args):
        prepare_all(config, log=print, export=None if folder is None else Path(folder))
