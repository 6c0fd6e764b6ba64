"""Formulas in TeX, written as GitHub reads them, as MathML: browsers show it without a script.

A block is fenced with the language ``math``; in a line a formula is written between ``$`` and backticks.
"""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from latex2mathml import converter
from markdown import Extension, Markdown
from markdown.inlinepatterns import InlineProcessor

INLINE = r"\$`([^`\n]+)`\$"


def block(source: str, *_: Any, **__: Any) -> str:
    """Format a fenced block, as ``pymdownx.superfences`` calls it."""
    return f'<div class="formula">{converter.convert(source, display="block")}</div>'


class Inline(InlineProcessor):
    """A formula in a line of text."""

    def handleMatch(self, match: Any, data: str) -> tuple[ElementTree.Element, int, int]:
        """Return the formula's element and its place."""
        element = ElementTree.fromstring(converter.convert(match.group(1)))
        return element, match.start(0), match.end(0)


class Formulas(Extension):
    """The Markdown extension for formulas in a line."""

    def extendMarkdown(self, md: Markdown) -> None:
        """Register the pattern before that of code, which takes backticks too."""
        md.inlinePatterns.register(Inline(INLINE, md), "formula", 195)
