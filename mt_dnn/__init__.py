"""From batches to a trained model and its scores; :func:`load` gives a finished run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from mt_dnn.predict import Predictor


def load(run: str | Path, device: Literal["auto", "cuda", "mps", "cpu"] = "cpu") -> Predictor:
    """The best model of a finished run; see :func:`mt_dnn.predict.load`."""
    from mt_dnn.predict import load  # here: importing the package must not import torch

    return load(run, device)
