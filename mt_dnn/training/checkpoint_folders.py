"""The checkpoints of a run directory: which are complete, intact and the newest."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from data_utils.errors import UserError
from data_utils.files import PARTIAL, REPLACED, remove, sha256
from mt_dnn.config.run_format import NewerFormatError, read_versioned, run_id

CHECKSUMS = "checksums.json"
STATE = "state.json"


def checkpoint_folders(run_dir: Path) -> list[Path]:
    """Complete checkpoints of the run, oldest first.

    Folders of another run, which the marker run.json does not name, are left out.

    Raises:
        UserError: a checkpoint has a newer format.
    """
    found = sorted((run_dir / "checkpoints").glob("step-????????"))
    own = run_id(run_dir)
    return [folder for folder in found if _is_complete(folder, own)]


def _is_complete(folder: Path, own: str | None) -> bool:
    """Whether a checkpoint has all its files in their sizes, and belongs to the run ``own``."""
    if not (folder / STATE).exists():
        return False
    try:
        state = read_versioned(folder / STATE)
    except NewerFormatError:
        raise
    except UserError:
        return False
    if state.get("run") != own:
        return False
    if "files" not in state:  # of an older version, without checksums
        return all((folder / f"{part}.safetensors").exists() for part in ("model", "optimizer"))
    try:
        return all(
            (folder / name).stat().st_size == size for name, (size, _) in _checksums(folder).items()
        )
    except (OSError, UserError):
        return False


def intact_checkpoint(run_dir: Path, log: Callable[[str], None]) -> Path | None:
    """The newest checkpoint without damage; None if the run has no checkpoint.

    Args:
        log: called with a line about each damaged or incomplete checkpoint that is skipped.

    Raises:
        UserError: the run has checkpoints, and all are damaged.
    """
    problems = []
    for folder in sorted((run_dir / "checkpoints").glob("step-????????"), reverse=True):
        try:
            if problem := _damage(folder, run_id(run_dir)):
                raise UserError(problem)
        except NewerFormatError:
            raise
        except UserError as error:
            problems.append(str(error))
        else:
            for problem in problems:
                log(f"skipped: {problem}")
            return folder
    if not problems:
        return None
    raise UserError(
        "no checkpoint can be resumed:\n  "
        + "\n  ".join(problems)
        + "\nRestore the files, or start again with --overwrite true"
    )


def _damage(folder: Path, own: str | None) -> str | None:
    """Describe what is wrong with a checkpoint; None if nothing is.

    Raises:
        UserError: a JSON file is damaged; the message names it.
    """
    if not (folder / STATE).exists():
        return f"{folder} is incomplete: {STATE} is missing"
    state = read_versioned(folder / STATE)
    if state.get("run") != own:
        return f"{folder} belongs to another run than {folder.parent.parent / 'run.json'}"
    if "files" not in state:
        for part in ("model", "optimizer"):
            if not (folder / f"{part}.safetensors").exists():
                return f"{folder} is incomplete: {part}.safetensors is missing"
        return None
    for name, (_, digest) in _checksums(folder).items():
        if not (folder / name).exists():
            return f"{folder} is incomplete: {name} is missing"
        if sha256(folder / name) != digest:
            return f"{folder / name} is damaged: its checksum differs from {CHECKSUMS}"
    return None


def _checksums(folder: Path) -> dict[str, tuple[int, str]]:
    """File name -> size and SHA-256.

    Raises:
        UserError: the file is missing or damaged.
    """
    path = folder / CHECKSUMS
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): (int(size), str(digest)) for name, (size, digest) in entries.items()}
    except FileNotFoundError:
        raise UserError(f"{folder} is incomplete: {CHECKSUMS} is missing") from None
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        raise UserError(f"{path} is damaged: expected sizes and checksums of the files") from None


def delete_old(run_dir: Path, *, keep: int, newest: int | None = None) -> None:
    """Delete all but the newest ``keep`` checkpoints of the run, and what a killed process left.

    Args:
        newest: update of the checkpoint that is resumed. Later ones are damaged, and are deleted too.
    """
    for left in sorted((run_dir / "checkpoints").glob("*")):
        is_step = left.match("step-????????")
        later = newest is not None and is_step and left.name > f"step-{newest:08d}"
        if left.suffix in (PARTIAL, REPLACED) or later:
            remove(left)
    for old in checkpoint_folders(run_dir)[: -max(keep, 1)]:
        remove(old)
