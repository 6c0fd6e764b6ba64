"""Read override files, which adapt a table to another encoder or machine. Does not import torch."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from mt_dnn.tables.definition import TableRow
from mt_dnn.tables.entries import OWN, check_known, mapping, read_keys, settings_of
from mt_dnn.tables.settings import Settings

OVERRIDE_KEYS = (
    *("extends", "title", "settings", "sizes", "seeds", "use", "columns"),
    *("stages", "rows"),
)


def read_override(path: Path) -> dict[str, Any]:
    """Read an override file and the one that it extends; mappings present in both are merged."""
    own = read_keys(path, OVERRIDE_KEYS)
    if "extends" not in own:
        return own
    merged = read_override(path.parent / str(own.pop("extends")))
    for key, value in own.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merged[key] | value if both else value
    return merged


def overridden_rows(
    rows: dict[str, TableRow], entry: Any, where: str
) -> tuple[dict[str, TableRow], Settings]:
    """Apply the override file's settings of single rows or stages.

    Returns:
        The changed rows, and the changed settings as ``row: setting`` -> value, to print.
    """
    own = mapping(entry or {}, where)
    check_known(own, rows, where, kind="name")
    changes = {
        name: settings_of(values, f"{where}: {name!r}", refuse=OWN) for name, values in own.items()
    }
    shown = {f"{n}: {key}": value for n, values in changes.items() for key, value in values.items()}
    replaced = {n: dataclasses.replace(rows[n], override=values) for n, values in changes.items()}
    return rows | replaced, shown
