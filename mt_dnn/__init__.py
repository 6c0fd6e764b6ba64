"""Multi-task fine-tuning of one shared encoder, with SMART.

The names below are loaded at their first use, so that ``import mt_dnn`` does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any


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
    from mt_dnn.config.run import RunConfig
    from mt_dnn.inference.predictor import load
    from mt_dnn.model import MTDNN
    from mt_dnn.objective.objective import Objective
    from mt_dnn.runs.prepare import prepare
    from mt_dnn.task_types import load_tasks
    from mt_dnn.training.trainer import Trainer

__all__ = ["MTDNN", "Objective", "RunConfig", "Trainer", "load", "load_tasks", "prepare"]
_MODULES = {
    "MTDNN": "mt_dnn.model",
    "Objective": "mt_dnn.objective.objective",
    "RunConfig": "mt_dnn.config.run",
    "Trainer": "mt_dnn.training.trainer",
    "load": "mt_dnn.inference.predictor",
    "load_tasks": "mt_dnn.task_types",
    "prepare": "mt_dnn.runs.prepare",
}
"""Public name -> module that defines it."""


def __getattr__(name: str) -> Any:
    """Import a public name (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module 'mt_dnn' has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value  # the next access does not call this function
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
