"""A YAML reader that rejects duplicate keys and returns the line of each entry."""

from __future__ import annotations

from pathlib import Path

import yaml

from data_utils.errors import UserError


class _Loader(yaml.SafeLoader):
    """A safe loader that rejects duplicate keys."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict:
    seen: set[str] = set()
    for key, _ in node.value:  # before merging `<<: *anchor`, whose keys may be overridden
        place = f"{key.start_mark.name}:{key.start_mark.line + 1}"
        if not isinstance(key, yaml.ScalarNode):
            raise UserError(f"{place}: a key must be a word")
        if key.value in seen:
            raise UserError(f"{place}: key {key.value!r} occurs twice")
        seen.add(key.value)
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


def _timestamp(loader: _Loader, node: yaml.ScalarNode) -> str:
    """Read a date as text: no setting is a date, and not every text of that form is one."""
    return str(node.value)


_Loader.add_constructor("tag:yaml.org,2002:timestamp", _timestamp)
_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_mapping(path: Path) -> tuple[dict[str, dict], dict[str, int]]:
    """Read a YAML file whose top level is a mapping.

    Returns:
        The entries by key, and the line number of each key.

    Raises:
        UserError: the file cannot be read, is not a mapping, or has a duplicate key; the message has
            file and line.
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
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8: {error.reason}; convert the file to UTF-8") from None
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
    lines = {key.value: key.start_mark.line + 1 for key, _ in root.value}
    return entries, lines
