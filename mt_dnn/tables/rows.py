"""Read the rows and stages of a table file. Does not import torch."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from data_utils.errors import UserError
from data_utils.registry import choices_hint
from mt_dnn.tables.definition import TableRow
from mt_dnn.tables.entries import OWN, mapping, settings_of, task_names
from mt_dnn.tables.search import search_of

ROW_KEYS = ("use", "start", "search")
"""Keys of a row that are not settings."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
"""Valid row names. They become part of folder names."""


def rows_of(entry: Any, earlier: dict[str, TableRow], where: str) -> dict[str, TableRow]:
    """Parse rows or stages. Each may start only from an earlier one, which rules out cycles."""
    rows: dict[str, TableRow] = {}
    for name, values in mapping(entry, f"{where}s").items():
        if type(name) not in (str, int) or not NAME.fullmatch(str(name)):
            raise UserError(
                f"{where} {name!r}: begin with a letter or digit; _ . + - may follow; quote yes, no, on and off"
            )
        place = f"{where} {name!r}"
        values = mapping(values or {}, place)
        changes = settings_of(
            {key: value for key, value in values.items() if key not in ROW_KEYS}, place, refuse=OWN
        )
        start = values.get("start")
        if start is not None:
            choices = [*earlier, *rows]
            if start not in choices:
                raise UserError(
                    f"{place}: start: no stage or earlier row is named {start!r}."
                    f"{choices_hint(start, choices)}"
                )
            if "model.init_from" in changes:
                raise UserError(f"{place}: set either start or model.init_from, not both")
        search = search_of(values.get("search"), f"{place}: search")
        if search and (both := [key for key in search.grid if key in changes]):
            raise UserError(
                f"{place}: {both[0]} is a setting of the row and of its search; keep one"
            )
        use = task_names(values["use"], f"{place}: use") if "use" in values else ()
        rows[str(name)] = TableRow(changes, use, start, search=search)
    return rows


def check_searches(rows: dict[str, TableRow], stages: dict[str, TableRow], path: Path) -> None:
    """Check that only rows have a search, and that no run starts from such a row.

    Raises:
        UserError: a stage has one, or the start of a row or stage has one.
    """
    for name, stage in stages.items():
        if stage.search is not None:
            raise UserError(
                f"{path}: stage {name!r}: search: only rows have one; a stage has no score"
            )
    for name, row in (stages | rows).items():
        if row.start in rows and rows[row.start].search is not None:
            raise UserError(
                f"{path}: {name!r}: start: row {row.start!r} has a search, so it is not one run; start from a "
                f"row with the settings that its search chose"
            )
