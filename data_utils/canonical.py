"""Writing the canonical rows: ``{task}_{split}.tsv``, UTF-8, tab-separated, no header, no quoting."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

# Everything that any reader may take for the end of a column or of a line (str.splitlines' list).
_SEPARATORS = re.compile("[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+")


def clean_text(text: str) -> str:
    """The text on one line, fit for one cell: separators become a space, the ends are stripped."""
    return _SEPARATORS.sub(" ", text).strip()


def write_rows(path: str | Path, rows: Iterable[Iterable[str]]) -> int:
    """Write the rows, each cell through :func:`clean_text`; the folder is made.

    Returns:
        The number of rows.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for row in rows:
            stream.write("\t".join(map(clean_text, row)) + "\n")
            count += 1
    return count
