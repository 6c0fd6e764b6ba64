"""Write the files that the code under test reads, and read what it writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def write_text(path: Path, text: str, *, encoding: str = "utf-8") -> Path:
    """Write ``text`` byte for byte, in a new folder where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


def write(path: Path, *lines: str | dict[str, Any], encoding: str = "utf-8") -> Path:
    """Write one line each; a dict becomes a line of JSON."""
    texts = (x if isinstance(x, str) else json.dumps(x, ensure_ascii=False) for x in lines)
    return write_text(path, "".join(f"{text}\n" for text in texts), encoding=encoding)


def lines_of(path: Path) -> list[str]:
    """Lines end at a newline only: a text may contain other Unicode line separators."""
    text = path.read_text(encoding="utf-8")
    return text.removesuffix("\n").split("\n") if text else []


def rows(path: Path) -> list[list[str]]:
    """The tab-separated cells of every line."""
    return [line.split("\t") for line in lines_of(path)]


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """The record of every line."""
    return [json.loads(line) for line in lines_of(path)]
