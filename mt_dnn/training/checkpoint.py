"""Checkpoints to resume a run from, written durably and without pickle.

``checkpoints/step-00000500/`` contains model.safetensors, optimizer.safetensors, terms.safetensors if
a loss term has state, state.json, and checksums.json, which makes it complete. state.json has the step
and what mt_dnn/training/saving.py collects (identifier and fingerprint of the run, loader position, meters, SMART
health, best scores, patience, fp16 scaler). Random numbers need no state, because they are functions of
(seed, step).

``checkpoints/best/`` is the best model that the newest checkpoint names, while ``best/`` is already a
newer one; see :func:`mt_dnn.training.best_folders.restore_best`. The same holds for ``best-<task>/``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import NoneType
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, load_model, save_file, save_model
from torch import Tensor, nn
from torch.optim import Optimizer

from data_utils.errors import UserError, shown
from data_utils.files import atomic_folder, sha256, write_text
from mt_dnn.config.run_format import FORMAT, read_versioned, run_id
from mt_dnn.tracking.jsonl import FILES
from mt_dnn.training.checkpoint_folders import CHECKSUMS, STATE, delete_old


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
    """Write a checkpoint durably, then delete all but the newest ``keep`` of the run.

    Args:
        terms: state of the loss terms by ``<tag>.<name>``.

    Raises:
        UserError: the disk is full or read-only; older checkpoints are unchanged.
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
        own |= {"run": run_id(run_dir), "files": CHECKSUMS}
        if numbers := {key: value for key, value in values.items() if key not in tensors}:
            own["optimizer_numbers"] = numbers
        write_text(aside / STATE, json.dumps(state | own))
        sums = {path.name: [path.stat().st_size, sha256(path)] for path in sorted(aside.iterdir())}
        write_text(aside / CHECKSUMS, json.dumps(sums, indent=2) + "\n")
    delete_old(run_dir, keep=keep)
    return folder


def load_checkpoint(
    folder: Path, *, model: nn.Module, optimizer: Optimizer
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Restore model and optimizer in place; return the state and that of the loss terms.

    Learning rates and weight decay keep the values that ``optimizer`` was built with.

    Raises:
        UserError: the checkpoint belongs to another model or another optimizer, is damaged, or has a
            newer format.
    """
    state = read_state(folder, needs=("step", "optimizer"))
    if len(state["optimizer"]) != 2:
        raise UserError(f"{folder / STATE} is damaged: optimizer is not a name and its parameters")
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
    except (OSError, SafetensorError) as error:
        raise UserError(f"{folder / 'model.safetensors'} is damaged: {error}") from None
    numbers = state.pop("optimizer_numbers", {})
    with restoring(folder):
        entries = _unflatten(_load(folder / "optimizer.safetensors") | numbers)
        optimizer.load_state_dict({"state": entries, "param_groups": own})
    return state, _load_terms(folder)


KINDS: dict[str, tuple[type, ...]] = {
    "step": (int,),
    "optimizer": (list,),
    "evaluations_since_best": (int,),
    "skipped": (int,),
    "owes_evaluation": (bool,),
    "best": (dict, NoneType),
    "scaler": (dict, NoneType),
    "total": (int, NoneType),
    **dict.fromkeys(
        ("fingerprint", "loader", "window", "health", "rho", "logs", "task_best"), (dict,)
    ),
    "optimizer_numbers": (dict,),
}
"""Key of state.json -> types of its value."""
WRITTEN = ("step", "optimizer", "loader", "window", "health", "best", "evaluations_since_best")
"""Keys of state.json in every version."""


def read_state(folder: Path, needs: Sequence[str] = WRITTEN) -> dict[str, Any]:
    """Read state.json of a checkpoint.

    Raises:
        UserError: the file is damaged or has a newer format.
    """
    state = read_versioned(folder / STATE)
    if missing := [key for key in needs if key not in state]:
        raise UserError(f"{folder / STATE} is damaged: {missing[0]} is missing")
    for key, kinds in KINDS.items():
        if key in state and type(state[key]) not in kinds:
            raise UserError(f"{folder / STATE} is damaged: {key} is {shown(state[key]):.60}")
    sizes = state.get("logs", {})
    if not set(sizes) <= set(FILES) or not all(type(size) is int for size in sizes.values()):
        raise UserError(f"{folder / STATE} is damaged: logs is {shown(sizes):.60}")
    return state


@contextmanager
def restoring(folder: Path) -> Iterator[None]:
    """Raise UserError, with the checkpoint, if a part of its state cannot be restored."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, RuntimeError) as error:
        if isinstance(error, UserError):
            raise
        reason = f"{type(error).__name__}: {error}"
        raise UserError(
            f"{folder / STATE} is damaged and cannot be restored ({' '.join(reason.split()):.200}); delete "
            f"{folder} to continue from the checkpoint before it"
        ) from error


def _load(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} is damaged: {error}") from None


def _load_terms(folder: Path) -> dict[str, Tensor]:
    """Load the state of the loss terms; formats before 3 have that of the proximal term alone."""
    if (folder / "terms.safetensors").exists():
        return _load(folder / "terms.safetensors")
    if (folder / "teacher.safetensors").exists():
        teacher = _load(folder / "teacher.safetensors")
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
