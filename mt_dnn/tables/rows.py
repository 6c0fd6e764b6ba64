"""Read the rows and stages of a table file. Does not import torch."""

from __future__ import annotations

import re
from typing import Any

from data_utils.errors import UserError
from data_utils.registry import choices_hint
from mt_dnn.tables.definition import TableRow
from mt_dnn.tables.entries import OWN, mapping, settings_of, task_names

ROW_KEYS = ("use", "start")
"""Keys of a row that are not settings."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
"""Valid row names. They become part of folder names."""


def rows_of(entry: Any, earlier: dict[str, TableRow], where: str) -> dict[str, TableRow]:
    """Parse rows or stages. Each may start only from an earlier one, which rules out cycles."""
    rows: dict[str, TableRow] = {}
    for name, values in mapping(entry, f"{where}s").items():
        if (
            not isinstance(name, (str, int))
            or isinstance(name, bool)
            or not NAME.fullmatch(str(name))
        ):
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
        use = task_names(values["use"], f"{place}: use") if "use" in values else ()
        rows[str(name)] = TableRow(changes, use, start)
    return rows
