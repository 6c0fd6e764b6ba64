"""Write rows as canonical TSV files, ``{task}_{split}.tsv``.

The files are UTF-8 and tab-separated, without a header and without quoting.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from data_utils.files import atomic_file

# Characters that a reader may treat as the end of a column or line (those of str.splitlines).
_SEPARATORS = re.compile("[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+")


def clean_text(text: str) -> str:
    """Make a text fit into one cell: replace separators by spaces and strip both ends."""
    return _SEPARATORS.sub(" ", text).strip()


def write_rows(path: str | Path, rows: Iterable[Iterable[str]]) -> int:
    """Write rows to a TSV file; create its folder if needed.

    Every cell is cleaned with :func:`clean_text`.

    Returns:
        The number of rows written.
    """
    count = 0
    with atomic_file(Path(path)) as stream:
        for row in rows:
            stream.write("\t".join(map(clean_text, row)) + "\n")
            count += 1
    return count
