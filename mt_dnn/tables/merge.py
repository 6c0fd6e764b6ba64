"""Join the results of several files, and find runs whose results differ."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_utils.files import make_folder
from mt_dnn.tables.results import FILE, Result, append_line, read_lines


@dataclass(frozen=True)
class Conflict:
    """Two results of one run with different scores."""

    hash: str
    run: str
    """Name of the run."""
    message: str


@dataclass(frozen=True)
class Merged:
    """What a merge did."""

    added: int
    known: int
    """Number of results that were there already."""
    conflicts: list[Conflict]


def merge(out: Path, paths: Sequence[Path]) -> Merged:
    """Append to ``out``/results.jsonl the results of other files that it does not have.

    Runs are recognised by their hash. Where two files have different scores of a run, the first counts.

    Raises:
        UserError: a file cannot be read, or has a line that is not a result.
    """
    own = out / FILE
    there = {result["hash"] for _, result in read_lines(own)} if own.exists() else set()
    # All are read before anything is written.
    lines = [result for path in paths for _, result in read_lines(path)]
    files = [*([own] if own.exists() else []), *paths]
    found = conflicts(dict.fromkeys(files))
    make_folder(out)
    added = 0
    for result in lines:
        if result["hash"] not in there:
            there.add(result["hash"])
            append_line(own, result)
            added += 1
    return Merged(added, len(lines) - added, found)


def conflicts(paths: Iterable[Path]) -> list[Conflict]:
    """Runs that have results with different scores, within a file or in two of them."""
    first: dict[str, tuple[str, Result]] = {}
    found = []
    for path in paths:
        for number, result in read_lines(path):
            place = f"{path}:{number}"
            before, other = first.setdefault(result["hash"], (place, result))
            if other["scores"] != result["scores"]:
                name = str(result.get("run", ""))
                message = (
                    f"{place}: run {name} ({result['hash']}): {_difference(other, result, before)}"
                )
                found.append(Conflict(result["hash"], name, message))
    return found


def _difference(one: Result, other: Result, place: str) -> str:
    """The first score that differs, in words."""
    scores = [
        {
            f"{dataset}.{metric}": value
            for dataset, values in result["scores"].items()
            for metric, value in values.items()
        }
        for result in (one, other)
    ]
    name = next(n for n in [*scores[0], *scores[1]] if scores[0].get(n) != scores[1].get(n))
    values = [json.dumps(score[name]) if name in score else "absent" for score in scores]
    return f"{name} is {values[1]}, but {values[0]} in {place}"
