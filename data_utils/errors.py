"""UserError, the exception for errors in files, settings and flags of the user."""

from __future__ import annotations


class UserError(ValueError):
    """An error that the user can correct, in a file, a setting or a flag.

    The message states the error and its place. The command lines print it without a traceback and
    exit with code 2.
    """
