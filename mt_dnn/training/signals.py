"""Graceful shutdown on Ctrl-C or SIGTERM."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class StopRequested(BaseException):
    """Raised by a signal inside :meth:`GracefulShutdown.interruptible`.

    Not an Exception, so that a metric that catches those does not swallow it.
    """


class GracefulShutdown:
    """Context manager that records the first signal instead of stopping.

    ``signal_number`` is None until a signal arrives; the caller reads it and stops at a safe point. Inside
    :meth:`interruptible` the signal ends the block instead. A second signal raises KeyboardInterrupt at
    once.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self._interruptible = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> GracefulShutdown:
        self._previous = {number: signal.signal(number, self._note) for number in self.SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    @contextmanager
    def interruptible(self, enabled: bool = True) -> Iterator[None]:
        """Let the first signal end the block, for work that changes nothing, such as an evaluation.

        Args:
            enabled: if False, the block is an ordinary one.

        Raises:
            StopRequested: a signal has arrived, before or during the block.
        """
        self._interruptible = enabled
        try:
            if enabled and self.signal_number is not None:
                raise StopRequested
            yield
        finally:
            self._interruptible = False

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal_number is not None:
            raise KeyboardInterrupt
        self.signal_number = number
        if self._interruptible:
            self._interruptible = False
            raise StopRequested
