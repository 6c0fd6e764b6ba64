"""The standard error that a table's message stands for."""

from __future__ import annotations

from pathlib import Path

HELP = "mt-dnn train --help lists every setting."
END = "..."
"""End of a message whose rest is a library's."""


class Message(str):
    """A text that equals its message; one that ends in END equals all texts that begin with it."""

    def __eq__(self, other: object) -> bool:
        if self.endswith(f"{END}\n"):
            return str(other).startswith(self[: -len(END) - 1])
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def filled(message: str, folder: Path, encoder: Path | None = None) -> Message:
    """Return the standard error of a message: FOLDER and ENCODER are replaced by the paths."""
    text = message.replace("FOLDER", str(folder)).replace("ENCODER", str(encoder))
    text = text.replace("\nHELP", f"\n{HELP}")
    return Message(f"error: {text}\n")
