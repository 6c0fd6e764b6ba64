"""Divide rows into train and dev, and write rows as JSON lines with our column names."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from data_utils.files import atomic_file
from mt_dnn.new_task.decision import Decision

SHARE = 0.2
"""Share of the rows that become dev rows."""
MOST = 1000
"""Greatest number of dev rows."""


def divide(
    texts: list[Any], labels: list[Any] | None, *, seed: int
) -> tuple[list[int], list[int], Decision]:
    """Divide rows into train and dev by a seeded draw.

    Rows with the same texts stay together, so that no dev row is a copy of a train row. With classes, the
    share of each label is kept, as far as whole groups allow it.

    Args:
        texts: for each row, its texts.
        labels: for each row, its class; None without classes.
        seed: of the draw.

    Returns:
        The indices of the train rows and of the dev rows, each in the order of the file, and the number
        of dev rows with its reason.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for index, text in enumerate(texts):
        groups[json.dumps(text)].append(index)
    strata: dict[str, list[list[int]]] = defaultdict(list)
    for group in groups.values():
        strata["" if labels is None else str(labels[group[0]])].append(group)
    wanted = min(SHARE, MOST / len(texts))
    dev: list[int] = []
    for label in sorted(strata):
        own = strata[label]
        random.Random(f"{seed} {label}").shuffle(own)
        size = round(wanted * sum(map(len, own)))
        taken = 0
        for group in own[:-1]:  # train keeps at least one row of each label
            if taken >= size:
                break
            dev += group
            taken += len(group)
    chosen = set(dev)
    train = [index for index in range(len(texts)) if index not in chosen]
    how = ", by label" if labels is not None else ""
    return (
        train,
        sorted(dev),
        Decision(len(dev), f"{len(dev)} of {len(texts)} rows, drawn with seed {seed}{how}"),
    )


def write_json_lines(path: Path, rows: Iterable[dict[str, Any]]) -> int:
    """Write rows as JSON lines; return their number."""
    count = 0
    with atomic_file(path) as stream:
        for row in rows:
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count
