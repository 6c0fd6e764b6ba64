"""The format version of run directories, model folders and checkpoints.

Version 1 is that of runs without a version. Version 2 added the version itself, and nothing else.
Version 3 saves the state of all loss terms in a checkpoint's terms.safetensors; before, the proximal
term's state was in teacher.safetensors.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from data_utils.errors import UserError

FORMAT = 3
"""The version that this code writes. It reads this one and all before it."""
NUMERICS = 3
"""The version of what a run computes. It is raised whenever a default or the arithmetic changes, so that a
table does not take an old run's result for a new one's. Version 1 was not recorded. Version 3 draws other
dropout masks on a CPU."""
MARKER = "run.json"
"""The file that marks a run directory. Its ``format`` is the version."""
EVENTS = "events.out.tfevents.*"
"""TensorBoard's event files."""
EVENTS_SUFFIX = ".mt-dnn"
"""Ends the names of a run's own event files, which are in its folder among other programs' files. Older
versions wrote event files without it to the subfolder ``tensorboard``."""


class NewerFormatError(UserError):
    """A file was written by a newer version."""


def check_run(run_dir: Path) -> None:
    """Check the version of a run directory; a folder without the marker passes.

    Raises:
        UserError: a newer version, or a damaged marker.
    """
    if (run_dir / MARKER).exists():
        read_versioned(run_dir / MARKER)


def run_numerics(run_dir: Path) -> int:
    """Return the version of what a run computed; 1 for runs that did not record it.

    Raises:
        UserError: a newer format, or a damaged marker.
    """
    marker = run_dir / MARKER
    return int(read_versioned(marker).get("numerics", 1)) if marker.exists() else 1


def run_id(run_dir: Path) -> str | None:
    """Return the identifier that the run's checkpoints name; None for runs that have none.

    Raises:
        UserError: a newer format, or a damaged marker.
    """
    marker = run_dir / MARKER
    return read_versioned(marker).get("id") if marker.exists() else None


def is_clearing(run_dir: Path) -> bool:
    """Whether a process was killed while it replaced an older run in the folder."""
    marker = run_dir / MARKER
    return marker.exists() and "clearing" in read_versioned(marker)


def read_versioned(path: Path) -> dict[str, Any]:
    """Read a JSON object and check its ``format``, which is left out of what is returned.

    Raises:
        UserError: not a JSON object; NewerFormatError: of a newer version.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        version = values.pop("format", 1)
        if type(version) is not int or version < 1:
            raise ValueError
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, AttributeError, TypeError, RecursionError):
        raise UserError(
            f"{path} is damaged: expected a JSON object with a positive number as its format; "
            f"restore the file or train a new run"
        ) from None
    if version > FORMAT:
        raise NewerFormatError(
            f"{path.parent} has run format {version}, and this version of mt-dnn reads formats up "
            f"to {FORMAT}: install a newer mt-dnn, or train a new run with this one"
        )
    return dict(values)
