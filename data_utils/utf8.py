"""Read lines of UTF-8 text; an error names the line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from data_utils.errors import UserError

_ESCAPED = re.compile("[\udc80-\udcff]")
"""Characters that stand for bytes that are not UTF-8 (PEP 383)."""


def open_lines(file: str | Path | int) -> TextIO:
    """Open a file of rows for :func:`numbered`. A file descriptor is not closed afterwards."""
    # newline="\n": a text may contain \r or Unicode line separators, which do not end a row.
    return open(
        file,
        encoding="utf-8-sig",
        errors="surrogateescape",
        newline="\n",
        closefd=not isinstance(file, int),
    )


def numbered(lines: Iterable[str], name: object) -> Iterator[tuple[int, str]]:
    """Yield the number, from 1, and the text of each line, as soon as it is read.

    Args:
        lines: an open file of :func:`open_lines`, or texts.
        name: name of the file, for the message.

    Raises:
        UserError: a line is not UTF-8; the message has file and line.
    """
    for number, line in enumerate(lines, start=1):
        if not line.isascii() and (found := _ESCAPED.search(line)):
            raise UserError(
                f"{name}:{number}: not UTF-8: byte 0x{ord(found[0]) - 0xDC00:02x} after "
                f"{line[max(found.start() - 20, 0) : found.start()]!r}; convert the file to UTF-8"
            )
        yield number, line


def not_utf8(path: Path) -> UserError:
    """Return the error for a file that could not be decoded, with its first wrong line."""
    try:
        with open_lines(path) as lines:
            for _ in numbered(lines, path):
                pass
    except UserError as error:
        return error
    return UserError(f"{path}: not UTF-8; convert the file to UTF-8")
