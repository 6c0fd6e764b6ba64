"""Render decisions as YAML with a comment for each value."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from mt_dnn.new_task.decision import Decision

BREAKS = re.compile("[\n\x85\u2028\u2029]")
"""Characters that end a line of YAML."""
WIDTH = 110
"""Longest line with a comment; a longer comment stands above its line."""


def scalar(value: Any) -> str:
    """Return a value as YAML on one line."""
    if isinstance(value, float):
        mantissa, _, exponent = f"{value:.1e}".partition("e")
        return f"{mantissa}e{int(exponent)}" if value < 0.01 else repr(value)
    if isinstance(value, tuple):
        value = list(value)
    text = yaml.safe_dump(
        value, default_flow_style=True, allow_unicode=True, width=10**9, sort_keys=False
    )
    text = text.removesuffix("\n...\n").removesuffix("\n")
    if BREAKS.search(text):
        # YAML would fold the value; its double-quoted form, as in JSON, keeps it.
        text = json.dumps(value, ensure_ascii=False)
        return BREAKS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return text


def lines(key: str, decision: Decision, *, indent: int = 0) -> Iterable[str]:
    """Yield the lines of a key: its value with the reason, and the alternatives as comments."""
    margin = " " * indent
    line = f"{margin}{key}: {scalar(decision.value)}"
    comment = _one_line(decision.comment)
    if comment and len(line) + len(comment) + 4 <= WIDTH:
        yield f"{line}    # {comment}"
    else:
        for part in textwrap.wrap(comment, WIDTH - indent - 2, break_on_hyphens=False):
            yield f"{margin}# {part}"
        yield line
    for other in decision.alternatives:
        yield f"{margin}# {other}"


def section(name: str, keys: Mapping[str, Decision | None], *, indent: int = 0) -> str:
    """Return a mapping under a key; keys without a decision are left out."""
    found = [f"{' ' * indent}{scalar(name)}:"]
    for key, decision in keys.items():
        if decision is not None:
            found += lines(key, decision, indent=indent + 2)
    return "\n".join(found) + "\n"


def header(*texts: str) -> str:
    """Return comment lines, wrapped."""
    return "".join(
        f"# {part}\n"
        for text in texts
        for part in (textwrap.wrap(_one_line(text), WIDTH - 2, break_on_hyphens=False) or [""])
    )


def _one_line(text: str) -> str:
    """Replace what would end a comment, or may not stand in YAML: names of columns may have any character."""
    return "".join(one if one.isprintable() else " " for one in text)
