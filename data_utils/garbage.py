"""Pause Python's cyclic garbage collector."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause the collector within the block.

    The rows and lists of ids that are made of texts are many objects without cycles. The collector would
    examine them again and again while they are made, which takes as long as tokenizing them. They are freed
    without it.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
