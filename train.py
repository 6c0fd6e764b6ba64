"""Train a model: ``python train.py --config run.yml``, equivalent to ``mt-dnn train``."""

from __future__ import annotations

from data_utils.cli import run_cli
from mt_dnn.training import command


def main() -> None:
    command.main(prog="train.py")


if __name__ == "__main__":
    run_cli(main)
