"""The exception for a mistake of the user's: in a file, a setting or a flag."""

from __future__ import annotations


class UserError(ValueError):
    """Something the user wrote is wrong, and the message says what and where.

    The command lines print it without a traceback and exit with code 2.
    """
