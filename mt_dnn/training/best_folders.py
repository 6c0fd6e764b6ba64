"""The best model that a checkpoint names, and the newer one that may have replaced it."""

from __future__ import annotations

from pathlib import Path

from data_utils.files import PARTIAL, beside, exchange, move, recover, remove
from mt_dnn.runs.model_folder import read_step


def has_best(run_dir: Path, step: int | None, *, name: str = "best") -> bool:
    """Whether the best model of update ``step`` is in the run directory; see :func:`restore_best`."""
    return step is not None and any(
        read_step(folder) == step for folder in _best_folders(run_dir, name)
    )


def _best_folders(run_dir: Path, name: str) -> tuple[Path, Path, Path]:
    """Where the best model that a checkpoint names can be.

    The run may have been killed after it replaced ``best/`` and before its next checkpoint. The model that
    the last checkpoint names is then in ``checkpoints/best``, or in ``best.partial`` if the process was
    killed between two renames.
    """
    best = run_dir / name
    return best, run_dir / "checkpoints" / name, beside(best, PARTIAL)


def restore_best(run_dir: Path, step: int | None, *, name: str = "best") -> None:
    """Make ``best/`` the model of update ``step``, which a checkpoint names, if there is one.

    Args:
        step: None if the checkpoint names no best model.
        name: name of the folder; ``best-<task>`` for the best model of a task.
    """
    best, kept, partial = _best_folders(run_dir, name)
    recover(best)
    if has_best(run_dir, step, name=name) and read_step(best) != step:
        if read_step(kept) == step:
            remove(partial)
            move(kept, partial)  # beside best/, so that one sync makes the exchange durable
        exchange(partial, best)
    remove(partial)
    if step is None or read_step(best) == step:
        remove(kept)


def keep_best_as(run_dir: Path, named: int | None, *, name: str = "best") -> Path | None:
    """Where to move ``best/`` when it is replaced; None if no checkpoint names it.

    Args:
        named: update of the best model that the newest checkpoint names.
        name: as in :func:`restore_best`.
    """
    if named is None or read_step(run_dir / name) != named:
        return None
    return run_dir / "checkpoints" / name
