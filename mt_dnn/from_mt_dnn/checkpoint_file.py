"""MT-DNN's checkpoint file: read without running any code of it, and a report of its keys."""

from __future__ import annotations

import re
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
"""What MT-DNN's settings are made of besides plain values."""


class StandIn:
    """Takes the place of the classes in STAND_INS: their objects are read, none of their code runs."""

    def __new__(cls, *args: Any) -> OrderedDict:  # type: ignore[misc]
        return OrderedDict()  # the one mapping that torch's unpickler gives items and attributes


def read_checkpoint(path: Path, report: ImportReport) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The weights by name, and MT-DNN's settings.

    Raises:
        UserError: not a checkpoint, or one with objects in it whose code would have to run.
    """
    scalar = np.float64().__reduce__()[0]
    harmless: list[Any] = [
        *(np.dtype, *(type(np.dtype(code)) for code in "?bhilqBHILQefd")),
        *((scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
        *((StandIn, name) for name in STAND_INS),
    ]
    try:
        with torch.serialization.safe_globals(harmless):
            found = torch.load(
                path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
            )
    except Exception as error:  # each kind of damage has its own type
        if foreign := re.search(r"GLOBAL (\S+)", str(error)):
            raise UserError(
                f"{path}: refused: to read the {foreign[1]} in it would run code from the file. "
                "Save it anew with tensors and plain values alone"
            ) from error
        raise UserError(f"{path} is not a file of torch.save, or is damaged") from error
    entries = found if isinstance(found, dict) else {}
    state, settings = entries.get("state"), entries.get("config")
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise UserError(
            f"{path}: no `state` in it, where MT-DNN keeps the weights. "
            f"Found: {', '.join(map(str, entries)) or type(found).__name__}"
        )
    others = ", ".join(str(key) for key in entries if key != "state")
    report.notes.append(f"beside the weights, not taken over: {others or 'nothing'}")
    if entries.get("ema"):
        report.notes.append("ema is an average of the weights, which MT-DNN evaluated with")
    return state, settings if isinstance(settings, dict) else {}
