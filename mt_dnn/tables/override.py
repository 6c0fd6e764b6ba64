"""Read override files, which adapt a table to another encoder or machine. Does not import torch."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from mt_dnn.tables.definition import TableRow
from mt_dnn.tables.entries import OWN, check_known, mapping, read_keys, settings_of
from mt_dnn.tables.search import search_of
from mt_dnn.tables.settings import Settings

OVERRIDE_KEYS = (
    *("extends", "title", "settings", "sizes", "seeds", "use", "columns"),
    *("stages", "rows"),
)


def read_override(path: Path) -> dict[str, Any]:
    """Read an override file and the one that it extends; mappings present in both are merged."""
    own = read_keys(path, OVERRIDE_KEYS, kind="override file")
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
    """Apply the override file's settings and searches of single rows or stages.

    Returns:
        The changed rows, and the changed settings as ``row: setting`` -> value, to print.
    """
    own = mapping(entry or {}, where)
    check_known(own, rows, where, kind="name")
    changed: dict[str, TableRow] = {}
    shown: Settings = {}
    for name, values in own.items():
        place = f"{where}: {name!r}"
        values = dict(mapping(values or {}, place))
        search = rows[name].search
        if "search" in values:
            search = search_of(values.pop("search"), f"{place}: search")
        settings = settings_of(values, place, refuse=OWN)
        changed[name] = dataclasses.replace(rows[name], override=settings, search=search)
        shown |= {f"{name}: {key}": value for key, value in settings.items()}
    return rows | changed, shown
