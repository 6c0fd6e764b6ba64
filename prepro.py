"""Prepare the data: ``python prepro.py --config run.yml``, with the settings of ``train.py``."""

from __future__ import annotations

from data_utils.cli import run_cli
from mt_dnn.command import parse_config


def main() -> None:
    config = parse_config(
        prog="prepro.py",
        description="Tokenize the rows of every task into stores that train.py reads. Takes the "
        "settings of train.py and uses those under data, and model.encoder.",
    )
    from mt_dnn.stores import prepare_all  # after parsing: --help needs no torch

    prepare_all(config, report=print)


if __name__ == "__main__":
    run_cli(main)
