"""Train: ``python train.py --config run.yml [--any.field value]``."""

from __future__ import annotations

from data_utils.cli import run_cli
from mt_dnn.config.parser import parse_config


def main() -> None:
    config = parse_config(prog="train.py", description="Train one encoder on the tasks of a file.")
    from mt_dnn.training.trainer import Trainer  # after parsing: --help needs no torch

    Trainer(config).fit()


if __name__ == "__main__":
    run_cli(main)
