"""Multi-task training and inference; :func:`load` opens a finished run."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal


def _check_data_utils() -> None:
    """Check that ``import data_utils`` finds the package installed with this one.

    Its name is a common one. Python takes the first that it finds, such as a folder of the user's.

    Raises:
        ImportError: names the other package and what to do.
    """
    ours = Path(__file__).resolve().parents[1] / "data_utils"
    spec = find_spec("data_utils")
    if spec is None:
        raise ImportError(f"mt_dnn needs the package data_utils, which is missing from {ours}")
    places = list(spec.submodule_search_locations or [str(spec.origin)])
    if ours not in [Path(place).resolve() for place in places]:
        raise ImportError(
            f"mt_dnn needs its own package data_utils, but Python finds another one first: "
            f"{places[0]}. Rename that one, or remove its folder from sys.path (PYTHONPATH)."
        )


_check_data_utils()  # before any module of ours imports it

if TYPE_CHECKING:
    from mt_dnn.inference.predictor import Predictor


def load(
    run: str | Path | Sequence[str | Path],
    device: Literal["auto", "cuda", "mps", "cpu"] = "cpu",
    *,
    plugins: bool = False,
) -> Predictor:
    """Load the best model of a finished run, or of several runs as an ensemble.

    See :func:`mt_dnn.inference.predictor.load`.
    """
    from mt_dnn.inference.predictor import load  # here: importing the package must not import torch

    return load(run, device, plugins=plugins)
