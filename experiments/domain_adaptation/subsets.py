"""Nested subsets of a training set that keep the class proportions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from fractions import Fraction
from hashlib import sha256

PER_MILLE = (1, 10, 100, 1000)
"""The paper's 0.1, 1, 10 and 100%."""

LabelledRow = Sequence[str]
"""uid, label, and texts."""


def subset_size(total: int, per_mille: int) -> int:
    """Size of a subset, rounded down.

    This gives the paper's sizes: 549, 5493, 54936 of SNLI's 549367 and 23, 235, 2359 of SciTail's 23596.
    """
    return total * per_mille // 1000


def apportion(size: int, counts: Mapping[str, int]) -> dict[str, int]:
    """Distribute ``size`` in the proportions of ``counts``, with the largest remainder method.

    Among equal remainders the first label wins. With at most ten classes, a size at least ten times as
    large gives no class less: a remainder that is rounded up is at least 1/10, and ten times that is 1.
    """
    total = sum(counts.values())
    quotas = {label: Fraction(size * count, total) for label, count in counts.items()}
    shares = {label: int(quota) for label, quota in quotas.items()}
    by_remainder = sorted(quotas, key=lambda label: shares[label] - quotas[label])
    for label in by_remainder[: size - sum(shares.values())]:
        shares[label] += 1
    return shares


def nested_subset(rows: Sequence[LabelledRow], per_mille: int, *, seed: int) -> list[LabelledRow]:
    """Select a subset of the rows, in their order. It is contained in every larger one of the same seed.

    Rows of a class are ranked by a hash of seed and texts, so the selection does not depend on the order
    or the source of the rows.
    """
    by_label: dict[str, list[int]] = defaultdict(list)
    for index in sorted(range(len(rows)), key=lambda index: _rank(rows[index], seed)):
        by_label[rows[index][1]].append(index)
    counts = Counter(row[1] for row in rows)
    shares = apportion(subset_size(len(rows), per_mille), dict(sorted(counts.items())))
    chosen = {index for label, share in shares.items() for index in by_label[label][:share]}
    return [row for index, row in enumerate(rows) if index in chosen]


def _rank(row: LabelledRow, seed: int) -> bytes:
    return sha256("\t".join((str(seed), *row[2:])).encode()).digest()
