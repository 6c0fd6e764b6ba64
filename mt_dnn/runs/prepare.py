"""The command ``mt-dnn prepare``, which ``python prepro.py`` runs too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mt_dnn.config.parser import parse_with, run_parser


def main(args: Sequence[str] | None = None, *, prog: str = "mt-dnn prepare") -> None:
    """Prepare the data of the run that the arguments describe; ``args`` defaults to the process's."""
    parser = run_parser(
        prog,
        "Tokenize the rows of every task into stores that training reads. Takes the settings "
        "of a training run and uses those under data, and model.encoder.",
    )
    parser.add_argument(
        "--export_jsonl",
        type=str,
        metavar="FOLDER",
        help="Also write each store there as MT-DNN's tokenized rows, {task}_{split}.json.",
    )
    config, values = parse_with(parser, args)
    from mt_dnn.runs.stores import prepare_all  # after parsing: --help needs no torch

    folder = values.export_jsonl
    prepare_all(config, log=print, export=None if folder is None else Path(folder))
