"""Checkpoints to resume a run from, written atomically and without pickle.

``checkpoints/step-00000500/`` contains model.safetensors, optimizer.safetensors, terms.safetensors if
a loss term has state, and state.json: the step, and what Trainer._save collects (loader position,
meters, SMART health, best scores, patience, fp16 scaler). Random numbers need no state, because they
are functions of (seed, step).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, load_model, save_file, save_model
from torch import Tensor, nn
from torch.optim import Optimizer

from data_utils.errors import UserError
from data_utils.files import atomic_folder
from mt_dnn.config.run_format import FORMAT, read_versioned


def checkpoint_folders(run_dir: Path) -> list[Path]:
    """Complete checkpoints, oldest first."""
    return sorted((run_dir / "checkpoints").glob("step-????????"))


def newest_checkpoint(run_dir: Path) -> Path | None:
    return next(reversed(checkpoint_folders(run_dir)), None)


def save_checkpoint(
    run_dir: Path,
    *,
    step: int,
    model: nn.Module,
    optimizer: Optimizer,
    state: dict[str, Any],
    terms: Mapping[str, Tensor],
    keep: int,
) -> Path:
    """Write a checkpoint atomically, then delete all but the newest ``keep``.

    Args:
        terms: state of the loss terms by ``<tag>.<name>``.
    """
    folder = run_dir / "checkpoints" / f"step-{step:08d}"
    with atomic_folder(folder) as aside:
        save_model(model, str(aside / "model.safetensors"))
        entries = optimizer.state_dict()
        values = _flatten(entries["state"])
        tensors = {k: v.contiguous() for k, v in values.items() if isinstance(v, Tensor)}
        save_file(tensors, aside / "optimizer.safetensors")
        if terms:
            save_file({k: v.contiguous() for k, v in terms.items()}, aside / "terms.safetensors")
        groups = [group["params"] for group in entries["param_groups"]]
        own = {"format": FORMAT, "step": step, "optimizer": [_name(optimizer), groups]}
        if numbers := {key: value for key, value in values.items() if key not in tensors}:
            own["optimizer_numbers"] = numbers
        text = json.dumps(state | own)
        (aside / "state.json").write_text(text, encoding="utf-8")
    for old in checkpoint_folders(run_dir)[: -max(keep, 1)]:
        shutil.rmtree(old)
    return folder


def load_checkpoint(
    folder: Path, *, model: nn.Module, optimizer: Optimizer
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Restore model and optimizer in place; return the state and that of the loss terms.

    Learning rates and weight decay keep the values that ``optimizer`` was built with, so that the
    current configuration applies.

    Raises:
        UserError: the checkpoint belongs to another model or another optimizer, or has a newer format.
    """
    state = read_versioned(folder / "state.json")
    name, groups = state.pop("optimizer")
    own = optimizer.state_dict()["param_groups"]
    if (name, groups) != (_name(optimizer), [group["params"] for group in own]):
        raise UserError(
            f"{folder} was saved with other parameter groups or another optimizer ({name}); resume "
            f"with the same tasks, loss terms, optim.name, head_lr, layer_decay and freeze as before"
        )
    try:
        load_model(model, folder / "model.safetensors")
    except (RuntimeError, ValueError) as error:
        raise UserError(f"{folder} does not fit this run's model: {error}") from None
    numbers = state.pop("optimizer_numbers", {})
    entries = _unflatten(load_file(folder / "optimizer.safetensors") | numbers)
    optimizer.load_state_dict({"state": entries, "param_groups": own})
    return state, _load_terms(folder)


def _load_terms(folder: Path) -> dict[str, Tensor]:
    """Load the state of the loss terms; formats before 3 have that of the proximal term alone."""
    if (folder / "terms.safetensors").exists():
        return load_file(folder / "terms.safetensors")
    if (folder / "teacher.safetensors").exists():
        teacher = load_file(folder / "teacher.safetensors")
        return {f"proximal.{name}": tensor for name, tensor in teacher.items()}
    return {}


def _name(optimizer: Optimizer) -> str:
    """Class name of the optimizer; accelerate wraps it in the attribute ``optimizer``."""
    return type(getattr(optimizer, "optimizer", optimizer)).__name__


def _flatten(entries: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """Flatten an optimizer's state to tensors and numbers named ``{parameter index}/{name}``."""
    return {
        f"{index}/{name}": value
        for index, entry in entries.items()
        for name, value in entry.items()
    }


def _unflatten(values: dict[str, Any]) -> dict[int, dict[str, Any]]:
    entries: dict[int, dict[str, Any]] = {}
    for key, value in values.items():
        index, _, name = key.partition("/")
        entries.setdefault(int(index), {})[name] = value
    return entries
