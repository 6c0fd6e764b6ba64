"""Reference pages that are generated from the code: settings, registered kinds, commands, API."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints
from unittest import mock

import docstring_parser

from mt_dnn import cli
from mt_dnn.config.parser import settings
from mt_dnn.config.run import RunConfig
from mt_dnn.listing import KINDS, options_of

API = Path(__file__).parents[1] / "docs" / "api.md"
"""The page that lists the stable names."""
RESUMED = {
    "free": "a resumed run may change it",
    "path": "a resumed run may use another folder",
    "longer": "a resumed run may increase it",
}


def configuration() -> str:
    """Return the page of all settings: type, default and meaning of each."""
    lines = [
        "# Configuration",
        "",
        "Every setting of a run, as `mt-dnn train --help` prints it. A setting is a key of the run file, and a flag: "
        "`optim: {lr: 1e-4}` is `--optim.lr 1e-4`. A resumed run must have the values that it was started with, except "
        "where the entry says otherwise. [Training](../train.md) has an example.",
        "",
        *_settings(RunConfig, ""),
    ]
    return "\n".join(lines) + "\n"


def _settings(section: type, prefix: str) -> Iterator[str]:
    """Yield the entries of the section's own settings, then those of the sections in it."""
    hints = get_type_hints(section)
    described = docstring_parser.parse_from_object(section)
    meanings = {param.arg_name: param.description or "" for param in described.params}
    yield f"## {prefix.rstrip('.') or 'The run'}\n"
    if prefix:
        yield f"{described.short_description}\n"
    inner: dict[str, Any] = {}
    for field in fields(section):
        hint, name = hints[field.name], prefix + field.name
        inner[name] = next(filter(is_dataclass, (hint, *get_args(hint))), None)
        if is_dataclass(hint):
            continue
        notes = [_type(hint), f"default {_default(field)}"]
        if field.metadata.get("resume"):
            notes.append(RESUMED[field.metadata["resume"]])
        yield f"`{name}`{{ #{name} }} <small>{'; '.join(notes)}</small>"
        yield f":   {_escaped(' '.join(meanings[field.name].split()))}\n"
    for name, part in inner.items():
        if part:
            yield from _settings(part, f"{name}.")


def _type(hint: Any) -> str:
    """Name a type as a writer of YAML thinks of it."""
    names = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    if hint in names:
        return names[hint]
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(map(str, get_args(hint)))
    if isinstance(hint, UnionType) or str(get_origin(hint)) == "typing.Union":
        return " or ".join("null" if part is type(None) else _type(part) for part in get_args(hint))
    return "list" if get_origin(hint) in (tuple, list) else "mapping"


def _default(field: Field[Any]) -> str:
    """Return the default as YAML has it."""
    if field.default is not MISSING:
        value = field.default
    elif field.default_factory is not MISSING:
        value = field.default_factory()
    else:
        return "none; required"
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _escaped(text: str) -> str:
    """Escape what Markdown would read as a tag, a link or emphasis."""
    return re.sub(r"([<>_*\[\]])", r"\\\1", text)


def kinds() -> str:
    """Return the page of all registered kinds, which ``mt-dnn list`` prints."""
    lines = [
        "# Registered kinds",
        "",
        "The names that settings and task files take, as `mt-dnn list` prints them. A [plugin](../plugins.md) adds names "
        "to every list.",
        "",
    ]
    for kind, (registry, setting, its_options) in KINDS.items():
        lines += [f"## {kind}", "", f"Set by: {setting.replace('--', chr(92) + '--')}."]
        if its_options:
            lines[-1] += f" Options: {its_options.replace('--', chr(92) + '--')}."
        lines += ["", "| name | what it is |", "|---|---|"]
        for name in registry.names():
            source = registry.source(name)
            notes = [_escaped((inspect.getdoc(source) or "").split("\n")[0])]
            options = options_of(source) if its_options else {}
            if options:
                shown = (f"`{key}` ({value!r})" for key, value in options.items())
                notes.append("Options: " + ", ".join(shown) + ".")
            if also := registry.aliases(name):
                notes.append("Also: " + ", ".join(f"`{alias}`" for alias in also) + ".")
            lines.append(f"| `{name}` | {' '.join(notes).replace('|', chr(92) + '|')} |")
        if not registry.names():
            lines.append("| | none is built in |")
        lines.append("")
    return "\n".join(lines)


def command_line() -> str:
    """Return the page of all commands: what each one prints with ``--help``."""
    lines = [
        "# Command line",
        "",
        "What each command prints with `--help`. Exit codes: 0 on success, 1 if a part of the work failed, 2 after a "
        "mistake in settings, data or arguments, 130 after Ctrl-C.",
        "",
    ]
    for name, command in cli.COMMANDS.items():
        lines += [f"## mt-dnn {name}", ""]
        text = help_of(command.module, f"mt-dnn {name}")
        if "--smoothness.weight" in text:
            lines += [_without_settings(text, name)]
        else:
            lines += ["```text", text.rstrip(), "```"]
        lines.append("")
    return "\n".join(lines)


def help_of(module: str, prog: str) -> str:
    """Return what the command of a module prints with ``--help``, at most 80 columns wide."""
    printed = io.StringIO()
    with (
        mock.patch.dict(os.environ, {"COLUMNS": "80"}),
        contextlib.redirect_stdout(printed),
        contextlib.suppress(SystemExit),
    ):
        importlib.import_module(module).main(["--help"], prog=prog)
    return printed.getvalue()


def _without_settings(text: str, name: str) -> str:
    """Shorten the help of a command that takes every setting of a run."""
    known = {f"--{setting}" for setting, _ in settings()}
    sections = {setting.rpartition(".")[0] for setting, _ in settings()}
    known |= {f"--{section}" for section in sections} | {"--config", "--help", "--print_shtab"}
    usage, description, *_ = text.split("\n\n")
    own = sorted(set(re.findall(r"--[\w.-]+", usage)) - known)
    flags = "".join(f" [{flag} ...]" for flag in own)
    return (
        f"```text\nusage: mt-dnn {name} [--config run.yml] [--SETTING VALUE ...]{flags}\n\n"
        f"{description.rstrip()}\n```\n\nThe settings are those of the [configuration](configuration.md)."
    )


def api() -> str:
    """Return the page with the docstrings of the stable names, in the sections of docs/api.md."""
    lines = [
        "# API",
        "",
        "The docstrings of the [stable names](../api.md).",
        "",
    ]
    for line in API.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            lines += [line, ""]
        elif match := re.match(r"\| `([\w.]+)`", line):
            lines += [f"::: {match[1]}", ""]
    return "\n".join(lines)


PAGES: dict[str, Callable[[], str]] = {
    "reference/configuration.md": configuration,
    "reference/kinds.md": kinds,
    "reference/command-line.md": command_line,
    "reference/api.md": api,
}
"""Path of a page, relative to docs/ -> what generates it."""
