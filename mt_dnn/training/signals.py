"""Graceful shutdown on Ctrl-C or SIGTERM."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any


class GracefulShutdown:
    """Context manager that records the first signal instead of stopping.

    ``signal_number`` is None until a signal arrives; the caller reads it and stops at a safe point. A
    second signal raises KeyboardInterrupt at once.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> GracefulShutdown:
        self._previous = {number: signal.signal(number, self._note) for number in self.SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal_number is not None:
            raise KeyboardInterrupt
        self.signal_number = number
