"""Reading the Markdown documents: code blocks, commands, tables, links."""

from __future__ import annotations

import argparse
import importlib
import re
import runpy
import shlex
import sys
import warnings
from pathlib import Path
from typing import Any, NoReturn

import jsonargparse
import pytest

from mt_dnn import cli

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = sorted((ROOT / "docs").rglob("*.md"))
DOCUMENTS = [
    README,
    ROOT / "CONTRIBUTING.md",
    *PAGES,
    *sorted((ROOT / "experiments").glob("*/README.md")),
    ROOT / "benchmarks" / "README.md",
]
SCRIPTS = {"train": "train", "prepare": "prepro", "predict": "predict"}
"""Command -> the script at the top of a checkout that does the same."""
COMMANDS = {name: command.module for name, command in cli.COMMANDS.items()}
"""Subcommand of mt-dnn -> the module whose ``main`` it calls."""


def name_of(document: Path) -> str:
    return str(document.relative_to(ROOT))


def blocks(document: Path, language: str) -> list[str]:
    """The contents of the document's code blocks in that language."""
    fence = rf"^```{language}\n(.*?)^```"
    return re.findall(fence, document.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def command_lines(document: Path) -> list[str]:
    """The lines of the shell blocks, without comments; a continued line is one."""
    lines = []
    for block in blocks(document, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            if line := re.sub(r"(^|\s)#\s.*", "", line).strip():
                lines.append(line)
    return lines


def table(document: Path, header: str) -> list[list[str]]:
    """The cells of every table whose first column has that header, below the header."""
    found, inside = [], False
    for line in document.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            inside = False
        elif cells[0] == header:
            inside = True
        elif inside and not set(cells[0]) <= set("-: "):
            found.append(cells)
    assert found, f"{name_of(document)} has no table {header!r}"
    return found


def quoted(text: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", text)


def named(document: Path, header: str) -> list[str]:
    """What stands in backticks in the first column of such tables."""
    return [name for cells in table(document, header) for name in quoted(cells[0])]


class Parsed(Exception):
    """Ends a command once its arguments are parsed."""

    def __init__(self, parser: argparse.ArgumentParser, values: Any) -> None:
        super().__init__()
        self.parser = parser
        self.values = values


def parse_command(line: str, monkeypatch: pytest.MonkeyPatch) -> Parsed | None:
    """Parse a line by the command's own parser; None where there is nothing to parse.

    Raises:
        SystemExit: the command does not accept its arguments.
        AssertionError: a program that the documents are not known to use.
    """
    words = shlex.split(line.split(" | ")[-1])
    if words[0] == "torchrun":
        words = [
            "python",
            *words[next(i for i, w in enumerate(words) if w in ("-m", "train.py")) :],
        ]
    if words[:2] == ["mt-dnn", "launch"]:
        words[1:] = words[words.index("train") :]
    if words[0] == "mt-dnn":
        assert words[1] in COMMANDS, f"mt-dnn has no command {words[1]!r}"
        return _stopped(COMMANDS[words[1]], words[2:], monkeypatch)
    if words[:3] == ["python", "-m", "mt_dnn.cli"]:
        return _stopped(COMMANDS[words[3]], words[4:], monkeypatch)
    if words[:2] == ["python", "-m"] and words[2] != "pytest":
        return _stopped(words[2], words[3:], monkeypatch)
    if words[0] == "python" and words[1].removesuffix(".py") in SCRIPTS.values():
        return _stopped(words[1].removesuffix(".py"), words[2:], monkeypatch)
    programs = {"pip", "make", "python3", "tensorboard", ".venv/bin/tensorboard", "optimum-cli"}
    assert words[0] in programs or words[:3] == ["python", "-m", "pytest"], line
    return None


def _stopped(module: str, args: list[str], monkeypatch: pytest.MonkeyPatch) -> Parsed | None:
    """Call the module's ``main``, or run it as a program, up to the end of its parsing."""

    def stop(parse: Any) -> Any:
        def parse_args(self: Any, *given: Any, **others: Any) -> NoReturn:
            values = parse(self, *given, **others)
            if hasattr(self, "instantiate"):
                values = self.instantiate(values)
            raise Parsed(self, values)

        return parse_args

    with monkeypatch.context() as patch:
        for kind in (jsonargparse.ArgumentParser, argparse.ArgumentParser):
            patch.setattr(kind, "parse_args", stop(kind.parse_args))
        patch.setattr(sys, "argv", [module, *args])
        try:
            main = getattr(importlib.import_module(module), "main", None)
            if main is None:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of a module that is imported already
                    runpy.run_module(module, run_name="__main__")
            else:
                main()
        except Parsed as parsed:
            return parsed
        except SystemExit as stop:
            if stop.code == 0 and "--help" in args:
                return None
            raise
    raise AssertionError(f"{module} parses no arguments")


def run_command(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a line that begins with mt-dnn in this process."""
    program, command, *args = shlex.split(line)
    assert program == "mt-dnn"
    with monkeypatch.context() as patch:
        patch.setattr(sys, "argv", [program, *args])
        importlib.import_module(COMMANDS[command]).main()


def anchors(document: Path) -> set[str]:
    """The anchors of the document's headings, as GitHub and mkdocs make them."""
    text = re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
