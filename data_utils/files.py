"""Files and folders that are written whole or not at all, and never over something else by accident."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

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
def written_folder(folder: Path) -> Iterator[Path]:
    """Write a folder aside: it takes the name ``folder`` when the block ends without an error.

    Raises:
        UserError: the folder cannot be created.
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


@contextmanager
def written_file(path: Path, *, setting: str = "") -> Iterator[IO[str]]:
    """Write a UTF-8 file aside: it takes the name ``path`` when the block ends without an error.

    Args:
        setting: the flag that named the file, for the message.

    Raises:
        UserError: the file cannot be created.
    """
    aside = path.with_name(f"{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = aside.open("w", encoding="utf-8")
    except OSError as error:
        place = f"{setting}: {path}" if setting else str(path)
        raise UserError(f"{place} cannot be written: {error.strerror}") from None
    try:
        with stream:
            yield stream
        aside.rename(path)
    finally:
        aside.unlink(missing_ok=True)
