"""The rule for names that become files and folders, and paths that stay inside their root."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from data_utils.errors import UserError

_NAME = re.compile(r"[\w-]{1,100}")
_RUN = re.compile(r"\w[\w.+-]{0,199}")
_BYTES = 200
"""Longest name in bytes of UTF-8. File systems allow 255, of which suffixes take a part."""


def check_name(name: Any, where: str, *, run: bool = False) -> str:
    """Check a name of a task, split, head, data set or run, and return it.

    A name is one part of a path: letters, digits, ``-`` and ``_``. The name of a run begins with a letter,
    a digit or ``_``, and may also contain ``.`` and ``+``.

    Args:
        where: start of the message, such as ``tasks.yml:3: task 'a'``.
        run: it is the name of a run.

    Raises:
        UserError: the name breaks the rule or is too long.
    """
    rule = _RUN if run else _NAME
    if isinstance(name, str) and rule.fullmatch(name) and len(name.encode()) <= _BYTES:
        return name
    if run:
        allowed = "at most 200 letters, digits, _ . + and -, beginning with a letter, a digit or _"
    else:
        allowed = "at most 100 letters, digits, - and _"
    shown = repr(name) if len(str(name)) <= 60 else f"{str(name)[:60]!r}..."
    raise UserError(f"{where}: {shown} is not a name; use {allowed}")


def confined(root: Path, *names: str) -> Path:
    """Return ``root/names...`` after checking that it lies inside ``root``, with links resolved.

    Raises:
        UserError: the path leads out of ``root``.
    """
    path = root.joinpath(*names)
    real = root.resolve()
    if real not in path.resolve().parents:
        raise UserError(
            f"{path} leads out of {root} (to {path.resolve()}); nothing is written or removed there"
        )
    return path
