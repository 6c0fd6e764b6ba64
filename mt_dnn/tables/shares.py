"""Shares of a table: a fixed partition of its runs, one for each machine or job."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from collections.abc import Sequence
from dataclasses import dataclass

from mt_dnn.tables.plan import PlannedRun


@dataclass(frozen=True)
class Share:
    """Share ``index`` of ``count``."""

    index: int
    """Counted from 1."""
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def file(self, name: str) -> str:
        """The name of the share's own file, such as ``results-2-of-8.jsonl``.

        On a shared disk, appending to one file from several machines can lose lines.
        """
        stem, _, suffix = name.rpartition(".")
        return f"{stem}-{self.index}-of-{self.count}.{suffix}"


def share_argument(text: str) -> Share:
    """Parse ``2/8``.

    Raises:
        ArgumentTypeError: the text is something else.
    """
    found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise ArgumentTypeError(f"{text!r} is not a share such as 2/8, from 1/8 to 8/8")
    return Share(int(found[1]), int(found[2]))


def runs_of(share: Share, runs: Sequence[PlannedRun]) -> list[PlannedRun]:
    """The runs of a share, in the order of the plan.

    A run, the runs that start from it, and rows with the same run belong to one share. These groups go,
    the largest first, each to the share with the fewest runs. So the partition depends on the plan alone,
    not on what has finished.

    Args:
        runs: all runs of the table.
    """
    groups: dict[str, list[PlannedRun]] = {}
    for run in runs:
        first = run
        while first.start is not None:
            first = first.start
        groups.setdefault(first.hash, []).append(run)
    sizes = {key: len({run.hash for run in group}) for key, group in groups.items()}
    loads = [0] * share.count
    own: set[str] = set()
    for key in sorted(groups, key=lambda key: -sizes[key]):
        smallest = loads.index(min(loads))
        loads[smallest] += sizes[key]
        if smallest == share.index - 1:
            own.update(run.hash for run in groups[key])
    return [run for run in runs if run.hash in own]
