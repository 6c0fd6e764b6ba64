"""Resumable state: whole or absent, and without pickle.

``checkpoints/step-00000500/`` holds model.safetensors, optimizer.safetensors, teacher.safetensors
where there is a teacher, and state.json: the step, the loader's place, the log window, the best
score. Random numbers need no state: they are functions of (seed, step).
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, load_model, save_file, save_model
from torch import Tensor, nn
from torch.optim import Optimizer

from data_utils.registry import UserError


def _folders(run_dir: Path) -> list[Path]:
    """Complete checkpoints, the oldest first."""
    return sorted((run_dir / "checkpoints").glob("step-????????"))


def newest_checkpoint(run_dir: Path) -> Path | None:
    return next(reversed(_folders(run_dir)), None)


def save_checkpoint(
    run_dir: Path,
    *,
    step: int,
    model: nn.Module,
    optimizer: Optimizer,
    state: dict[str, Any],
    teacher: dict[str, Tensor] | None,
    keep: int,
) -> Path:
    """Write aside, rename, then delete all but the newest ``keep``."""
    folder = run_dir / "checkpoints" / f"step-{step:08d}"
    aside = folder.with_suffix(".partial")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    save_model(model, str(aside / "model.safetensors"))
    tensors, scalars = _flatten(optimizer.state_dict())
    save_file(tensors, aside / "optimizer.safetensors")
    if teacher is not None:
        save_file({k: v.contiguous() for k, v in teacher.items()}, aside / "teacher.safetensors")
    text = json.dumps(state | {"step": step, "optimizer": scalars})
    (aside / "state.json").write_text(text, encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    aside.rename(folder)
    for old in _folders(run_dir)[: -max(keep, 1)]:
        shutil.rmtree(old)
    return folder


def load_checkpoint(
    folder: Path, *, model: nn.Module, optimizer: Optimizer
) -> tuple[dict[str, Any], dict[str, Tensor] | None]:
    """Restore model and optimizer in place; returns the state and the teacher's tensors.

    Raises:
        UserError: the checkpoint is of another model.
    """
    state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    try:
        load_model(model, folder / "model.safetensors")
        tensors = load_file(folder / "optimizer.safetensors")
        optimizer.load_state_dict(_unflatten(tensors, state.pop("optimizer")))
    except (RuntimeError, ValueError, KeyError) as error:
        raise UserError(f"{folder} does not fit this run's model: {error}") from None
    teacher = folder / "teacher.safetensors"
    return state, load_file(teacher) if teacher.exists() else None


def _flatten(state: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """An optimizer's state as named tensors (parameter index, name) and what JSON can hold."""
    tensors = {
        f"{index}/{name}": value.contiguous()
        for index, entry in state["state"].items()
        for name, value in entry.items()
    }
    return tensors, {"param_groups": state["param_groups"]}


def _unflatten(tensors: dict[str, Tensor], scalars: dict[str, Any]) -> dict[str, Any]:
    entries: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split("/")
        entries.setdefault(int(index), {})[name] = value
    return {"state": entries, **scalars}
