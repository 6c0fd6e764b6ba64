"""Strategies that damage the bytes of a valid file."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from data_utils.errors import UserError

FIXTURES = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
ODD = [
    *(
        b"\0",
        b"\xff",
        b"\xed\xa0\x80",
        b"\t",
        b"\n",
        b"[",
        b"]",
        b"{",
        b"}",
        b'"',
        b"'",
        b":",
        b",",
    ),
    *(
        b"null",
        b"true",
        b"NaN",
        b"-1",
        b"1e999",
        b"9" * 5000,
        b"[" * 2000,
        b"&a [*a]",
        b"!!x",
        b"..",
        b"/",
    ),
    *(
        b"2001-99-99",
        b"\\ud83d",
        b"0x",
        b"~",
        b"- ",
        b"? ",
        b"<<: ",
        b"%",
        b"@",
        b"`",
        b"0",
        b".nan",
    ),
]
"""What replaces a part of a file, besides random bytes."""


def fuzz(examples: int) -> settings:
    """Settings of a test: the same examples in every run, and no limit on the time of one."""
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=FIXTURES,
    )


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """``whole`` with up to three parts cut out, replaced, repeated, or with a bit flipped."""
    data = whole
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        stop = min(len(data), start + draw(st.integers(0, 12)))
        kind = draw(st.sampled_from(["cut", "odd", "bytes", "repeat", "flip", "end"]))
        if kind == "odd":
            part = draw(st.sampled_from(ODD))
        elif kind == "bytes":
            part = draw(st.binary(max_size=8))
        elif kind == "repeat":
            part = data[start:stop] * 2
        elif kind == "flip" and start < len(data):
            stop = start + 1
            part = bytes([data[start] ^ (1 << draw(st.integers(0, 7)))])
        else:
            part = b""
        data = data[:start] + part + (b"" if kind == "end" else data[stop:])
    return data


@contextlib.contextmanager
def only_user_errors() -> Iterator[None]:
    """Let the block end with a UserError, or with exit code 2 of a command line, and nothing else."""
    with contextlib.suppress(UserError):
        try:
            yield
        except SystemExit as end:
            if end.code != 2:
                raise


def attempt(function: Callable[[], object]) -> None:
    """Call a function; it may raise a UserError."""
    with only_user_errors():
        function()
