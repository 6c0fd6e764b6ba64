"""Prepare the data: ``python prepro.py --config run.yml``, with the settings of ``train.py``."""

from __future__ import annotations

from pathlib import Path

from data_utils.cli import run_cli
from mt_dnn.config.parser import parse_with, run_parser


def main() -> None:
    parser = run_parser(
        "prepro.py",
        "Tokenize the rows of every task into stores that train.py reads. Takes the "
        "settings of train.py and uses those under data, and model.encoder.",
    )
    parser.add_argument(
        "--export_jsonl",
        type=str,
        metavar="FOLDER",
        help="Also write each store there as MT-DNN's tokenized rows, {task}_{split}.json.",
    )
    config, values = parse_with(parser)
    from mt_dnn.runs.stores import prepare_all  # after parsing: --help needs no torch

    folder = values.export_jsonl
    prepare_all(config, report=print, export=None if folder is None else Path(folder))


if __name__ == "__main__":
    run_cli(main)
