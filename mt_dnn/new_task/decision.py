"""Decision, one value of a written file with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Decision:
    """A value, the reason for it, and what to write instead if the reason does not hold."""

    value: Any
    reason: str
    unsure: bool = False
    """Whether the value is a guess that the user must check."""
    alternatives: tuple[str, ...] = ()
    """Other lines for the same key, such as ``pooling: cls    # ...``; written as comments."""

    @property
    def comment(self) -> str:
        """The reason, marked if it is a guess."""
        return f"UNSURE: {self.reason}" if self.unsure else self.reason
