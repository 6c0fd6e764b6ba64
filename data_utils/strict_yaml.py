"""A YAML reader that rejects contradictory keys, and returns the line of each entry and of its keys."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import yaml

from data_utils.errors import UserError
from data_utils.utf8 import not_utf8


class _Loader(yaml.SafeLoader):
    """A safe loader that rejects a key with two different values."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict:
    seen: dict[str, yaml.Node] = {}
    for key, value in node.value:  # before merging `<<: *anchor`, whose keys may be overridden
        place = f"{key.start_mark.name}:{key.start_mark.line + 1}"
        if not isinstance(key, yaml.ScalarNode):
            raise UserError(f"{place}: a key must be a word")
        if key.value in seen:
            first = seen[key.value]
            message = f"{place}: key {key.value!r} occurs twice; the first is in line {first.start_mark.line + 1}"
            if _content(loader, first) != _content(loader, value):
                raise UserError(f"{message} and has another value; remove one of them")
            warnings.warn(f"{message} and has the same value", stacklevel=2)
        seen.setdefault(key.value, value)
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


def _timestamp(loader: _Loader, node: yaml.ScalarNode) -> str:
    """Read a date as text: no setting is a date, and not every text of that form is one."""
    return str(node.value)


_Loader.add_constructor("tag:yaml.org,2002:timestamp", _timestamp)


def _content(loader: _Loader, node: yaml.Node) -> Any:
    """Return the content of a node in a form that can be compared: 1 and true differ."""
    if isinstance(node, yaml.MappingNode):
        pairs = [(_content(loader, key), _content(loader, value)) for key, value in node.value]
        return node.tag, sorted(pairs, key=repr)
    if isinstance(node.value, list):
        return node.tag, [_content(loader, item) for item in node.value]
    return node.tag, loader.construct_object(node)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_mapping(
    path: Path, kind: str = "file", entry: str = "key: value"
) -> tuple[dict[str, dict], dict[str, int]]:
    """Read a YAML file whose top level is a mapping.

    Args:
        kind: what the file is, for messages, such as "table file".
        entry: the form of an entry, for messages.

    Returns:
        The entries by key, and the line number of each key. A key of an entry is ``entry.key``.

    Raises:
        UserError: the file cannot be read, is not a mapping, or has a key with two different
            values; the message has file and line.
    """
    try:
        with path.open(encoding="utf-8") as stream:
            loader = _Loader(stream)
            loader.name = str(path)
            try:
                root = loader.get_single_node()
                check_size(root)
                entries = loader.construct_document(root) if root else None
            finally:
                loader.dispose()
    except FileNotFoundError:
        raise UserError(f"{kind} {path} does not exist") from None
    except UnicodeDecodeError:
        raise not_utf8(path) from None
    except OSError as error:
        raise UserError(f"{kind} {path} cannot be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise UserError(not_yaml(path, error)) from None
    except RecursionError:
        raise UserError(f"{path}: not valid YAML: nested too deep") from None
    except ValueError as error:  # such as an integer of more than 4300 digits
        if isinstance(error, UserError):
            raise
        raise UserError(not_yaml(path, error)) from None
    if not isinstance(root, yaml.MappingNode) or not entries:
        raise UserError(f"{path}: the {kind} has no entries; expected `{entry}`")
    lines: dict[str, int] = {}
    for key, value in reversed(root.value):
        lines[key.value] = key.start_mark.line + 1
        if isinstance(value, yaml.MappingNode):
            for inner, _ in reversed(value.value):
                lines[f"{key.value}.{inner.value}"] = inner.start_mark.line + 1
    return entries, lines


MAX_VALUES = 100_000
"""Greatest number of values of a file, after aliases are replaced by what they name."""


def check_size(root: yaml.Node | None) -> None:
    """Raise YAMLError if the aliases of a document expand to more than :data:`MAX_VALUES` values.

    Ten lists that each name the one before ten times are a file of one kilobyte and 10^10 values.
    """
    sizes: dict[int, int] = {}

    def size(node: yaml.Node) -> int:
        if id(node) not in sizes:
            # 0 ends the recursion if a value contains itself; the constructor refuses that.
            sizes[id(node)] = 0
            inner = node.value if isinstance(node, yaml.CollectionNode) else []
            flat = [
                part for item in inner for part in (item if isinstance(item, tuple) else [item])
            ]
            sizes[id(node)] = 1 + sum(map(size, flat))
        return sizes[id(node)]

    if root is not None and size(root) > MAX_VALUES:
        raise yaml.YAMLError(f"its aliases expand to more than {MAX_VALUES} values")


def not_yaml(path: Path, error: Exception) -> str:
    """Say in one line what makes a file invalid YAML, with its line if the error has one."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return f"{path}: not valid YAML: {' '.join(str(error).split())}"
    context, text = (str(getattr(error, part, None) or "") for part in ("context", "problem"))
    if text.startswith("but "):
        text = f"{context}, {text}"
    if "\\t" in text:
        text = "a tab where only blanks may indent; replace it by two blanks"
    return f"{path}:{mark.line + 1}: not valid YAML: {text}"
