"""Errors of command lines: one line in our words, in place of a library's usage text."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from data_utils.registry import choices_hint

WORDS = (
    (r"invalid choice: (.*) \(choose from (.*)\)$", r"expected one of \2, got \1"),
    (r"invalid int value: (.*)$", r"expected a whole number, got \1"),
    (r"expected one argument$", "a value is missing"),
    (r"expected at least one argument$", "at least one value is needed"),
    (r"ignored explicit argument (.*)$", r"takes no value, got \1"),
)
"""argparse's words for what is wrong with an argument, and ours."""
UNKNOWN = re.compile(r"unrecognized arguments: (--[\w.-]+)")


class FlagParser(argparse.ArgumentParser):
    """A parser of argparse that prints its errors in our words, and takes no abbreviated options."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_abbrev": False} | options)

    def error(self, message: str) -> NoReturn:
        """Print the message and exit with code 2."""
        fail(self.prog, in_our_words(message, long_options(self)))


def long_options(parser: argparse.ArgumentParser) -> list[str]:
    """Return the options of a parser that begin with two dashes."""
    options = [flag for action in parser._actions for flag in action.option_strings]
    return [flag for flag in options if flag.startswith("--")]


def fail(prog: str, message: str, listed: str = "option") -> NoReturn:
    """Print an error of the command line and where to read more, and exit with code 2."""
    print(f"error: {message}\n{prog} --help lists every {listed}.", file=sys.stderr)
    sys.exit(2)


def in_our_words(message: str, known: Iterable[str] = ()) -> str:
    """Return a message of argparse as ``--steps: expected a whole number, got 'x'``.

    Args:
        known: the options, one of which is suggested for an unknown one.
    """
    if found := UNKNOWN.match(message):
        return f"there is no option {found[1]}.{choices_hint(found[1], known)}"
    message = message.replace("the following arguments are required:", "missing:")
    message = message.replace("unrecognized arguments:", "unexpected:")
    if message.startswith("argument "):
        message = message.removeprefix("argument ")
        for theirs, ours in WORDS:
            message = re.sub(theirs, ours, message)
    return message


def whole_number(least: int) -> Callable[[str], int]:
    """Return a parser of whole numbers from ``least`` on, for ``type=`` of an argument."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[+-]?[0-9]{1,19}", text) or int(text) < least:
            raise argparse.ArgumentTypeError(
                f"expected a whole number of at least {least}, got {text!r}"
            )
        return int(text)

    return parse
