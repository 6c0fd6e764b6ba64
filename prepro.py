"""Prepare data: ``python prepro.py --config run.yml``, equivalent to ``mt-dnn prepare``."""

from __future__ import annotations

from data_utils.cli import run_cli
from mt_dnn.runs import command


def main() -> None:
    command.main(prog="prepro.py")


if __name__ == "__main__":
    run_cli(main)
