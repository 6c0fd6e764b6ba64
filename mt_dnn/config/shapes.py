"""Check that sections and list entries of the settings are mappings with known keys.

jsonargparse fails on a section that is a number, and names neither file, line nor the setting of a wrong
entry in a list.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import MISSING, fields, is_dataclass
from itertools import pairwise
from typing import Any, get_args, get_origin, get_type_hints

import yaml

from data_utils.errors import UserError
from data_utils.registry import choices_hint
from mt_dnn.config.options import parse_section
from mt_dnn.config.run import RunConfig

SECTIONS = {name: hint for name, hint in get_type_hints(RunConfig).items() if is_dataclass(hint)}
"""Name of each section -> its dataclass."""
LISTS = {
    name: get_args(hint)[0]
    for name, hint in get_type_hints(RunConfig).items()
    if get_origin(hint) is list and is_dataclass(get_args(hint)[0])
}
"""Name of each setting that is a list of mappings -> the dataclass of an entry."""

AS_WRITTEN = {"class_path", "init_args"}
"""Keys of an entry in a file that jsonargparse wrote, as in the folder of a table."""


def file_problems(root: yaml.Node | None) -> Iterator[tuple[int, str]]:
    """Yield line and message for each section and entry of a YAML document that has the wrong form.

    A section may be a text, the path of another file.
    """
    if not isinstance(root, yaml.MappingNode):
        return
    for key, value in root.value:
        name = key.value if isinstance(key, yaml.ScalarNode) else ""
        is_text = isinstance(value, yaml.ScalarNode) and value.tag == "tag:yaml.org,2002:str"
        if name in SECTIONS and not isinstance(value, yaml.MappingNode) and not is_text:
            example = next(f.name for f in fields(SECTIONS[name]))
            yield (
                key.start_mark.line + 1,
                f"{name}: expected the settings of the section, such as `{name}: {{{example}: ...}}`; "
                f"leave {name} out to use the defaults",
            )
        if name in LISTS and not isinstance(value, yaml.SequenceNode):
            yield key.start_mark.line + 1, f"{name}: expected a list, with a dash before each entry"
        elif name in LISTS:
            for entry in value.value:
                if problem := entry_problem(_plain(entry), name):
                    wrong, message = problem
                    yield _line(entry, wrong), f"{name}: {message}"


def flag_problem(args: Sequence[str]) -> str | None:
    """Return a message if a flag gives a wrong entry of a list of mappings, such as ``--terms+``."""
    for before, arg in pairwise([*args, ""]):
        flag, equals, value = before.partition("=")
        name = flag.removeprefix("--").removesuffix("+")
        if name not in LISTS or not flag.startswith("--"):
            continue
        try:
            given = yaml.safe_load(value if equals else arg)
        except yaml.YAMLError:
            continue
        for entry in given if isinstance(given, list) else [given]:
            if problem := entry_problem(entry, name):
                return f"{flag}: {problem[1]}"
    return None


def entry_problem(entry: Any, name: str) -> tuple[str, str] | None:
    """Return the wrong key, empty for the entry as a whole, and what is wrong with it.

    Args:
        entry: an entry, as YAML reads it.
        name: name of the list, a key of :data:`LISTS`.
    """
    cls = LISTS[name]
    known = [f.name for f in fields(cls)]
    if not isinstance(entry, dict):
        return "", f"{entry!r:.60} is not an entry, such as {{name: ..., weight: 0.01}}"
    if set(entry) >= AS_WRITTEN:
        return entry_problem(entry["init_args"], name)
    for key in entry:
        if key not in known:
            return str(key), f"unknown key {key!r}.{choices_hint(key, known)}"
    needed = [f.name for f in fields(cls) if f.default is f.default_factory is MISSING]
    for key in needed:
        if key not in entry:
            return "", f"key {key!r} is missing"
    for key, value in entry.items():  # one at a time, to know the key that is wrong
        try:
            parse_section(cls, dict.fromkeys(needed, "") | {key: value}, name)
        except UserError as error:
            return key, str(error).removeprefix(f"{name}: ")
    return None


def _plain(node: yaml.Node) -> Any:
    """Return the values of a node; None if they cannot be read, which is reported elsewhere."""
    try:
        return yaml.safe_load(yaml.serialize(node))
    except yaml.YAMLError:
        return None


def _line(entry: yaml.Node, key: str) -> int:
    """Return the line of a key in an entry, or that of the entry."""
    if isinstance(entry, yaml.MappingNode):
        for node, _ in entry.value:
            if node.value == key:
                return node.start_mark.line + 1
    return entry.start_mark.line + 1
