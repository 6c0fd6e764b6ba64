"""Messages of jsonargparse in the words of the user's settings.

The library has no structured errors, so its texts are recognised by patterns. All of them are here, and
tests/unit/test_messages.py fails if a release of the library words them differently.
"""

from __future__ import annotations

import re

_SETTING = re.compile(r'^Parser key "([\w.]+)":\s*')
_LITERAL = re.compile(r"a typing\.Literal\[(.*?)\]")
_CLASS = re.compile(r"a <class '(\w+)'>")
_UNKNOWN = re.compile(r"unrecognized arguments: --([\w.]+)")


def reworded(message: str) -> str:
    """Return a message of the parser without Python's names of types."""
    message = _SETTING.sub(r"\1: ", message)
    return _CLASS.sub(r"a \1", _LITERAL.sub(r"one of \1", message))


def unknown_flag(message: str) -> str | None:
    """Return the flag that a message is about, without dashes, if it says that the flag is unknown."""
    found = _UNKNOWN.match(message)
    return found[1] if found else None


def reason(message: str) -> str:
    """Return why a value was refused, in one line and without the name of the setting."""
    return reworded(_SETTING.sub("", message).splitlines()[0])
