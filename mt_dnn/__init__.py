"""Multi-task training and inference; :func:`load` opens a finished run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from mt_dnn.inference.predictor import Predictor


def load(
    run: str | Path | Sequence[str | Path],
    device: Literal["auto", "cuda", "mps", "cpu"] = "cpu",
) -> Predictor:
    """Load the best model of a finished run, or of several runs as an ensemble.

    See :func:`mt_dnn.inference.predictor.load`.
    """
    from mt_dnn.inference.predictor import load  # here: importing the package must not import torch

    return load(run, device)
