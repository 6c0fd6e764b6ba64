"""Messages of jsonargparse in the words of the user's settings.

The library has no structured errors, so its texts are recognised by patterns. All of them are here, and
tests/unit/test_messages.py fails if a release of the library words them differently.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from data_utils.flags import in_our_words

_SETTING = re.compile(r'^Parser key "([\w.]+)":\s*')
_NO_FILE = re.compile(r"Unable to load config '(.*)'")
VALUE = ("Given value: ", "Got value: ")
"""What stands before the value; the first where the type is a union."""
MISSING = "File does not exist: "
_UNKNOWN = re.compile(r"unrecognized arguments: --([\w.]+)")
SINGULAR: dict[Any, str] = {
    **{int: "a whole number", float: "a number", bool: "true or false", str: "a text"},
    **{dict: "a mapping", list: "a list"},
}
PLURAL = {int: "whole numbers", float: "numbers", str: "texts", dict: "mappings"}


def reworded(message: str, types: Mapping[str, Any], flags: Iterable[str] = ()) -> str:
    """Return a message of the parser in one line, with the expected type in words.

    Args:
        types: name of a setting -> its type.
        flags: the options of a command that has no settings, with dashes; its messages name them so.

    Example:
        >>> reworded('Parser key "seed":\\n  Expected a <class \\'int\\'>. Got value: x', {"seed": int})
        'seed: expected a whole number, got x'
    """
    setting = _SETTING.match(message)
    if not setting:
        return in_our_words(message, flags)
    name, rest = setting[1], message[setting.end() :]
    shown = f"--{name}" if flags else name
    if found := _NO_FILE.match(rest):
        return f"{shown}: expected settings of the section, or a file that has them, got {found[1]}"
    if rest.startswith(MISSING):
        return f"--{name}: file {rest.removeprefix(MISSING).strip()} does not exist"
    for mark in VALUE if name in types else ():
        if mark in rest:
            return f"{shown}: {expected(types[name], rest.rpartition(mark)[2])}"
    return f"{shown}: {rest.splitlines()[0]}"


def expected(hint: Any, value: object) -> str:
    """Return what is wrong with a value that does not have a type."""
    text = "null" if str(value) == "None" else " ".join(str(value).split())
    return f"expected {in_words(hint)}, got {text if len(text) <= 80 else f'{text:.77}...'}"


def in_words(hint: Any) -> str:
    """Describe a type to a user.

    Example:
        >>> in_words(int | None)
        'a whole number or null'
        >>> in_words(dict[str, float])
        'a mapping of names to numbers'
    """
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        parts = ["null" if part is NoneType else in_words(part) for part in args]
        return " or ".join(parts)
    if origin is Literal:
        return f"one of {', '.join(map(str, args))}"
    if origin is dict:
        return f"a mapping of names to {_plural(args[1])}"
    if origin is not None and args:
        count = "" if Ellipsis in args or len(args) == 1 else f"{len(args)} "
        return f"a list of {count}{_plural(args[0])}"
    return SINGULAR.get(hint) or str(getattr(hint, "__name__", hint))


def _plural(hint: Any) -> str:
    return PLURAL.get(get_origin(hint) or hint, "values")


def unknown_flag(message: str) -> str | None:
    """Return the flag that a message is about, without dashes, if it says that the flag is unknown."""
    found = _UNKNOWN.match(message)
    return found[1] if found else None
