"""Write files and folders atomically, and check the output folders of commands."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from data_utils.errors import UserError


def check_out(out: str, *, overwrite: bool, runs: Sequence[str]) -> Path:
    """Check the folder of ``--out`` and return its absolute path, without writing anything.

    Args:
        out: value of ``--out``.
        overwrite: whether a model folder (one with a config.json) may be replaced.
        runs: run directories that the command reads, which must not be replaced.

    Raises:
        UserError: ``out`` is a file, is not empty (and ``overwrite`` is False or it is not a model
            folder), or contains one of ``runs``.
    """
    folder = Path(out).resolve()
    for run in runs:
        own = Path(run).resolve()
        if folder in (own, own / "best", *own.parents):
            raise UserError(f"--out: {out} contains the input model {run}; choose another folder")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--out: {out} is a file; choose a folder")
    if folder.is_dir() and any(folder.iterdir()):
        if not overwrite:
            raise UserError(
                f"--out: {out} is not empty; add --overwrite to replace it, or choose another folder"
            )
        if not (folder / "config.json").exists():
            raise UserError(
                f"--out: {out} is not a model folder (no config.json in it) and will not be "
                f"replaced; choose another folder"
            )
    return folder


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder that replaces ``folder`` if the block succeeds.

    If the block fails, the temporary folder is deleted and ``folder`` is unchanged.

    Raises:
        UserError: the folder cannot be created.
    """
    partial = _partial(folder)
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}") from None
    try:
        yield partial
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def atomic_file(path: Path, *, setting: str = "") -> Iterator[IO[str]]:
    """Yield a UTF-8 text stream whose content replaces the file ``path`` if the block succeeds.

    If the block fails, the written content is deleted and ``path`` is unchanged. Lines end in \\n.

    Args:
        setting: the option that names the file, such as ``--output``, for the message.

    Raises:
        UserError: the file cannot be created.
    """
    partial = _partial(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = partial.open("w", encoding="utf-8", newline="\n")
    except OSError as error:
        prefix = f"{setting}: " if setting else ""
        raise UserError(f"{prefix}{path} cannot be written: {error.strerror}") from None
    try:
        with stream:
            yield stream
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _partial(path: Path) -> Path:
    """Return the temporary path, beside ``path``, that is renamed on success."""
    return path.with_name(f"{path.name}.partial")
