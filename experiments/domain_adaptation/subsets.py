"""Parts of a training set that lie within one another and keep the shares of the classes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from fractions import Fraction
from hashlib import sha256

PER_MILLE = (1, 10, 100, 1000)
"""The paper's 0.1, 1, 10 and 100%."""

Row = Sequence[str]
"""uid, label, and the texts."""


def subset_size(total: int, per_mille: int) -> int:
    """Rounded down, as the paper's sizes are: 549, 5493, 54936 of SNLI's 549367; 23, 235, 2359 of SciTail's 23596."""
    return total * per_mille // 1000


def apportion(size: int, counts: Mapping[str, int]) -> dict[str, int]:
    """``size`` in the proportions of ``counts``, by largest remainders; among equal ones the first.

    A size ten times as large, or more, gives each of up to ten classes as much or more: a remainder
    that is rounded up is at least 1/10, and ten times that is 1.
    """
    total = sum(counts.values())
    quotas = {label: Fraction(size * count, total) for label, count in counts.items()}
    shares = {label: int(quota) for label, quota in quotas.items()}
    by_remainder = sorted(quotas, key=lambda label: shares[label] - quotas[label])
    for label in by_remainder[: size - sum(shares.values())]:
        shares[label] += 1
    return shares


def nested_subset(rows: Sequence[Row], per_mille: int, *, seed: int) -> list[Row]:
    """That part of the rows, in their order; part of every larger one of the same seed.

    Within its class, a row's rank is a hash of seed and texts: the same in any order of the rows, and
    whichever source they are from.
    """
    by_label: dict[str, list[int]] = defaultdict(list)
    for index in sorted(range(len(rows)), key=lambda index: _rank(rows[index], seed)):
        by_label[rows[index][1]].append(index)
    counts = Counter(row[1] for row in rows)
    shares = apportion(subset_size(len(rows), per_mille), dict(sorted(counts.items())))
    chosen = {index for label, share in shares.items() for index in by_label[label][:share]}
    return [row for index, row in enumerate(rows) if index in chosen]


def _rank(row: Row, seed: int) -> bytes:
    return sha256("\t".join((str(seed), *row[2:])).encode()).digest()
