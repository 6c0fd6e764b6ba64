"""Predict: ``python predict.py --run runs/glue --task rte --input rows.tsv``, the same as ``mt-dnn predict``."""

from __future__ import annotations

from data_utils.cli import run_cli
from mt_dnn.inference import command


def main() -> None:
    command.main(prog="predict.py")


if __name__ == "__main__":
    run_cli(main)
