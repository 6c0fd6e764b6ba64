"""Predict rows of text with finished runs; equivalent to ``mt-dnn predict``.

Example: ``python predict.py --run runs/glue --task rte --input rows.tsv``
"""

from __future__ import annotations

from data_utils.cli import run_cli
from mt_dnn.inference import command


def main() -> None:
    command.main(prog="predict.py")


if __name__ == "__main__":
    run_cli(main)
