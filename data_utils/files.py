"""Folders that commands write: whole or not at all, and over nothing by accident."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from data_utils.errors import UserError


def check_out(out: str, *, overwrite: bool, runs: Sequence[str]) -> Path:
    """The folder that ``--out`` names, absolute; nothing is written yet.

    Args:
        overwrite: whether a model folder (one with a config.json) may be replaced.
        runs: what the command reads, which is never replaced.

    Raises:
        UserError: it is a file, holds something that may not go, or holds one of ``runs``.
    """
    folder = Path(out).resolve()
    for run in runs:
        own = Path(run).resolve()
        if folder in (own, own / "best", *own.parents):
            raise UserError(f"--out: {out} holds the model that is read, {run}; choose another")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--out: {out} is a file; choose a folder")
    if folder.is_dir() and any(folder.iterdir()):
        if not overwrite:
            raise UserError(
                f"--out: {out} is not empty: replace it (--overwrite) or choose another"
            )
        if not (folder / "config.json").exists():
            raise UserError(f"--out: {out} is no model folder (no config.json); choose another")
    return folder


@contextmanager
def written_whole(folder: Path) -> Iterator[Path]:
    """A folder to write into, which takes the name ``folder`` and its place once all went well.

    Raises:
        UserError: there cannot be a folder there.
    """
    aside = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        aside.mkdir(parents=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}") from None
    try:
        yield aside
        shutil.rmtree(folder, ignore_errors=True)
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
