"""Read a checkpoint file of MT-DNN without running any code that it contains."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data_utils.errors import UserError
from mt_dnn.from_mt_dnn.import_report import ImportReport

STAND_INS = (
    *("experiments.exp_def.TaskDef", "data_utils.vocab.Vocabulary", "data_utils.metrics.Metric"),
    *(f"data_utils.task_def.{name}" for name in ("TaskType", "DataFormat", "EncoderModelType")),
    *("mt_dnn.loss.LossCriterion", "argparse.Namespace"),
    "builtins.getattr",  # Python 3.11 writes a member of an enum as getattr(class, name)
)
"""Classes and functions that occur in MT-DNN's settings besides plain values."""


class StandIn:
    """Replaces the classes in STAND_INS, so that their objects can be read without running their code."""

    def __new__(cls, *args: Any) -> OrderedDict:  # type: ignore[misc]
        return OrderedDict()  # torch's unpickler sets items and attributes of no other mapping


def read_checkpoint(path: Path, report: ImportReport) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the weights by name, and MT-DNN's settings.

    Raises:
        UserError: the file is no checkpoint, or contains objects that cannot be read without running
            their code.
    """
    scalar = np.float64().__reduce__()[0]
    harmless: list[Any] = [
        *(np.dtype, *(type(np.dtype(code)) for code in "?bhilqBHILQefd")),
        *((scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
        *((StandIn, name) for name in STAND_INS),
    ]
    try:
        with torch.serialization.safe_globals(harmless), warnings.catch_warnings():
            # Of the pickle protocol, which the message below covers.
            warnings.simplefilter("ignore")
            found = torch.load(
                path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
            )
    except Exception as error:  # the exception type depends on the kind of damage
        if foreign := re.search(r"GLOBAL (\S+)", str(error)):
            raise UserError(
                f"{path}: refused, because reading its {foreign[1]} would run code from the file. "
                "Save the checkpoint again with tensors and plain values only"
            ) from error
        raise UserError(f"{path} was not written by torch.save, or is damaged") from error
    entries = found if isinstance(found, dict) else {}
    state, settings = entries.get("state"), entries.get("config")
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise UserError(
            f"{path} has no entry `state` of tensors, where MT-DNN stores the weights. "
            f"Found: {', '.join(map(str, entries)) or type(found).__name__}"
        )
    for name, weight in state.items():
        if not isinstance(name, str):
            raise UserError(f"{path}: state: {name!r} is not the name of a weight")
        if weight.is_floating_point() and not torch.isfinite(weight).all():
            raise UserError(f"{path}: state: weight {name} contains NaN or infinity")
    others = ", ".join(str(key) for key in entries if key != "state")
    report.notes.append(f"entries other than the weights, not imported: {others or 'none'}")
    if entries.get("ema"):
        report.notes.append("ema is a moving average of the weights, which MT-DNN used to evaluate")
    return state, settings if isinstance(settings, dict) else {}
