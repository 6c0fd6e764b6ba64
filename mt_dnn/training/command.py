"""The command ``mt-dnn train``, which ``python train.py`` runs too."""

from __future__ import annotations

from collections.abc import Sequence

from mt_dnn.config.parser import parse_config


def main(args: Sequence[str] | None = None, *, prog: str = "mt-dnn train") -> None:
    """Train the run that the arguments describe; ``args`` defaults to those of the process."""
    config = parse_config(args, prog=prog, description="Train one encoder on the tasks of a file.")
    from mt_dnn.training.trainer import Trainer  # after parsing: --help needs no torch

    Trainer(config).fit()
