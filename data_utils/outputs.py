"""Where commands write: the folder of ``--out`` and the file of ``--output``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import TextIO

from data_utils.errors import UserError
from data_utils.files import atomic_file, disk_errors

MODEL_FILES = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja", "README.md", "tasks.yml")
"""Names in a model folder. A folder with any other is not replaced."""


def check_out(out: str, *, overwrite: bool, runs: Sequence[str]) -> Path:
    """Check the folder of ``--out`` and return its absolute path, without writing anything.

    Args:
        out: value of ``--out``.
        overwrite: whether a model folder (one with a config.json or adapter_config.json) may be replaced.
        runs: run directories that the command reads, which must not be replaced.

    Raises:
        UserError: ``out`` is a file, is not empty (and ``overwrite`` is False, or it is not a model folder or
            contains more than that), or contains one of ``runs``.
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
        if not any((folder / name).exists() for name in ("config.json", "adapter_config.json")):
            raise UserError(
                f"--out: {out} is not a model folder (no config.json in it) and will not be "
                f"replaced; choose another folder"
            )
        for entry in sorted(folder.iterdir()):
            if entry.is_dir() or not any(fnmatch(entry.name, name) for name in MODEL_FILES):
                raise UserError(
                    f"--out: {out} contains {entry.name}, which is no part of a model, and will not be "
                    f"replaced; choose another folder"
                )
    return folder


@contextmanager
def open_output(output: str, *, source: str, setting: str = "--output") -> Iterator[TextIO]:
    """Open the file that a command writes.

    A new file, or a regular file, appears complete or not at all, as with
    :func:`data_utils.files.atomic_file`. A symbolic link stays, and its target is written. A device, a
    pipe, and everything under /dev and /proc, such as /dev/stdout, is written to and never replaced.

    Args:
        output: the path.
        source: path of the command's input, or ``-`` for standard input.

    Raises:
        UserError: ``output`` is a folder or the input, or cannot be written.
    """
    path = Path(output)
    if path.is_dir():
        raise UserError(f"{setting}: {output} is a folder; name a file")
    absolute = Path(os.path.abspath(output))
    special = absolute.parts[1:2] in (("dev",), ("proc",))
    if not special and path.exists() and os.path.samestat(path.stat(), _stat(source)):
        raise UserError(f"{setting}: {output} is the input; choose another file")
    if special or (path.exists() and not path.is_file()):
        with disk_errors(path, setting=setting, everything=True):
            special_file = path.open("w", encoding="utf-8", newline="\n")
        with disk_errors(path, setting=setting), special_file:
            yield special_file
    else:
        with atomic_file(path.resolve(), setting=setting) as stream:
            yield stream


def _stat(source: str) -> os.stat_result:
    return os.fstat(sys.stdin.fileno()) if source == "-" else os.stat(source)
