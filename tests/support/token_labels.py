"""Batches whose labels are at the first tokens of words."""

from __future__ import annotations

from typing import Any

import numpy as np

from data_utils.collator import IGNORE, Batch
from tests.support.batches import make_batch

WIDTH = 5
LABELS = [[IGNORE, 2, IGNORE, 0, IGNORE], [IGNORE, 1, IGNORE, IGNORE, IGNORE]]
STARTS = [[1, 3], [1]]
"""The first token of every word; -1 where the word was cut off."""


def word_batch(labels: list[list[int]] | None, starts: list[list[int]], **extras: Any) -> Batch:
    """A row for each list in ``starts``, ``WIDTH`` tokens long."""
    places = {"word_starts": [np.array(own) for own in starts], **extras}
    return make_batch([WIDTH] * len(starts), labels=labels, extras=places)
