"""Docstrings as mkdocstrings reads them: roles of Sphinx become code."""

from __future__ import annotations

import re
from typing import Any

import griffe

LITERAL = r"(?m)^Examples?::\n\n((?: {4}.*(?:\n|\Z)|\n)+)"
"""An example that is a literal block of reStructuredText."""


class Roles(griffe.Extension):
    """Turn roles and literals of reStructuredText into Markdown."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of an object."""
        if obj.docstring:
            text = re.sub(r":\w+:`~[\w.]*?(\w+)`", r"`\1`", obj.docstring.value)
            text = re.sub(r":\w+:`([^`]+)`", r"`\1`", text)
            text = re.sub(r"``([^`\n]+)``", r"`\1`", text)
            text = re.sub(r"(?m)^Example:$", "Examples:", text)
            obj.docstring.value = re.sub(LITERAL, _fenced, text)


def _fenced(match: re.Match[str]) -> str:
    """Return an example section with its code in a fence."""
    return f"Examples:\n    ```python\n{match[1].rstrip()}\n    ```\n\n"
