"""From batches to a trained model and its scores; :func:`load` gives a finished run."""

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
    """The best model of a finished run, or of several as one.

    See :func:`mt_dnn.inference.predictor.load`.
    """
    from mt_dnn.inference.predictor import load  # here: importing the package must not import torch

    return load(run, device)
