"""UserError, the exception for errors in files, settings and flags of the user."""

from __future__ import annotations

from reprlib import Repr


class UserError(ValueError):
    """An error that the user can correct, in a file, a setting or a flag.

    The message states the error and its place. The command lines print it without a traceback and
    exit with code 2.
    """


class _Short(Repr):
    """Limits the length of a repr, where Python 3.11 takes the limits as attributes only."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = 8
        self.maxstring = self.maxother = 100


def shown(value: object) -> str:
    """Return ``repr(value)`` for a message, without the parts that make it too long to read."""
    return _Short().repr(value)
