"""Check the entries of table files. Does not import torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from data_utils.errors import UserError
from data_utils.registry import choices_hint
from data_utils.strict_yaml import read_mapping
from mt_dnn.config.parser import settings
from mt_dnn.tables.settings import Settings, flat_settings

FOLDS = ("data.folds", "data.fold")
OWN = ("name", "output_dir", "seed", "resume", "overwrite", "data.use", *FOLDS)
"""Settings that the table runner sets itself."""


def read_keys(path: Path, keys: Sequence[str], *, kind: str = "table file") -> dict[str, Any]:
    """Read a table or override file after checking its keys and its title."""
    found, _ = read_mapping(path, kind)
    check_known(found, keys, str(path))
    if not isinstance(found.get("title", ""), str):
        raise UserError(f"{path}: title: {found['title']!r} is not a text")
    return found


def settings_of(entry: Any, where: str, *, refuse: Sequence[str] = ()) -> Settings:
    """Settings by dotted name, from a mapping with dotted or nested keys or both."""
    known = [name for name, _ in settings()]
    if entry and not isinstance(entry, dict):
        raise UserError(
            f"{where}: {entry!r} is not a mapping of settings, such as {{data.train_limit: 300}}"
        )
    values = flat_settings(entry or {})
    for name in values:
        if name in refuse:
            hint = " and set the table key folds" if name in FOLDS else ""
            raise UserError(f"{where}: {name} is set by the table runner; remove it{hint}")
        for whole in known:
            if name.startswith(f"{whole}."):
                key = name.removeprefix(f"{whole}.")
                raise UserError(
                    f"{where}: {name}: write {whole}: {{{key}: ...}}, the whole mapping, which replaces that "
                    f"of base"
                )
        check_known([name], known, where, kind="setting")
    return values


def assignments(overrides: Iterable[str]) -> Settings:
    """Parse the values of ``--set``, ``name=value`` each."""
    values = {}  # kept as text; the parser of the run configuration converts them
    for override in overrides:
        name, equals, value = override.partition("=")
        if not equals:
            raise UserError(f"--set {override}: expected name=value, such as train.epochs=1")
        values[name] = value
    return values


def task_names(names: Any, where: str) -> tuple[str, ...]:
    """Return a list of task names as a tuple, after checking it."""
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise UserError(f"{where}: expected a list of task names, such as [rte]")
    return tuple(names)


def choice_of(keys: dict, key: str, choices: Sequence[str], path: Path) -> str:
    """Return the value of a key that has fixed choices, by default the first."""
    value = keys.get(key, choices[0])
    if value not in choices:
        raise UserError(f"{path}: {key}: unknown value {value!r}.{choices_hint(value, choices)}")
    return value


def flag_of(keys: dict, key: str, path: Path) -> bool:
    """Return the value of a key that is true or false, by default true."""
    value = keys.get(key, True)
    if not isinstance(value, bool):
        raise UserError(f"{path}: {key}: {value!r} is not true or false")
    return value


def mapping(value: Any, where: str) -> dict[str, Any]:
    """Return a value after checking that it is a mapping."""
    if not isinstance(value, dict):
        raise UserError(f"{where}: {value!r} is not a mapping")
    return value


def check_known(
    keys: Iterable[str], choices: Iterable[str], where: str, *, kind: str = "key"
) -> None:
    """Raise UserError if a key is not among the choices; the message lists them."""
    choices = list(choices)
    for key in keys:
        if key not in choices:
            raise UserError(f"{where}: unknown {kind} {key!r}.{choices_hint(key, choices)}")
