"""A YAML reader that rejects contradictory keys and returns the line of each entry."""

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


def read_mapping(path: Path) -> tuple[dict[str, dict], dict[str, int]]:
    """Read a YAML file whose top level is a mapping.

    Returns:
        The entries by key, and the line number of each key.

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
                entries = loader.construct_document(root) if root else None
            finally:
                loader.dispose()
    except FileNotFoundError:
        raise UserError(f"task file {path} does not exist") from None
    except UnicodeDecodeError:
        raise not_utf8(path) from None
    except OSError as error:
        raise UserError(f"task file {path} cannot be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML: {error}") from None
    except RecursionError:
        raise UserError(f"{path}: not valid YAML: nested too deep") from None
    except ValueError as error:  # such as an integer of more than 4300 digits
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(root, yaml.MappingNode) or not entries:
        raise UserError(f"{path}: no tasks; expected `name: {{data_format: ..., ...}}` entries")
    lines = {key.value: key.start_mark.line + 1 for key, _ in reversed(root.value)}
    return entries, lines
