"""Read the entries of a table file that only its renderings use. Does not import torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from data_utils.errors import UserError
from mt_dnn.tables.definition import Names
from mt_dnn.tables.entries import check_known, mapping


def paper_of(
    entry: Any, rows: Iterable[str], columns: Iterable[str], where: str
) -> tuple[dict[str, dict[str, float]], str]:
    """Read the paper's numbers, row -> column -> number, and their source, which may be there alone."""
    if not entry:
        return {}, ""
    entry = mapping(entry, where)
    check_known(entry, ["source", "scores"], where)
    if not isinstance(entry.get("source"), str):
        raise UserError(f"{where}: source: state where the numbers come from")
    scores = mapping(entry.get("scores") or {}, f"{where}: scores")
    check_known(scores, rows, where, kind="row")
    for row, numbers in scores.items():
        check_known(mapping(numbers, f"{where}: {row}"), columns, f"{where}: {row}", kind="column")
        for name, number in numbers.items():
            is_number = isinstance(number, (int, float)) and not isinstance(number, bool)
            if not is_number or not abs(number) < math.inf:
                raise UserError(f"{where}: {row}: {name}: {number!r} is not a number")
    return scores, entry["source"]


def curves_of(entry: Any, columns: Sequence[str], where: str) -> dict[str, tuple[str, ...]]:
    """Read the curves: title of a panel -> its columns."""
    curves = {}
    for panel, names in mapping(entry or {}, where).items():
        if not isinstance(names, list) or not names:
            raise UserError(
                f"{where}: {panel}: expected a list of columns, such as [snli_1pct.ACC, snli.ACC]"
            )
        check_known(names, columns, f"{where}: {panel}", kind="column")
        curves[str(panel)] = tuple(names)
    return curves


def names_of(entry: Any, rows: Iterable[str], columns: Iterable[str], where: str) -> Names:
    """Read the display names of rows and columns."""
    entry = mapping(entry or {}, where)
    check_known(entry, ["rows", "columns"], where)
    read: dict[str, dict[str, str]] = {}
    for kind, choices in (("row", rows), ("column", columns)):
        place = f"{where}: {kind}s"
        read[kind] = mapping(entry.get(f"{kind}s") or {}, place)
        check_known(read[kind], choices, place, kind=kind)
        for name, shown in read[kind].items():
            if not isinstance(shown, str) or not shown.strip() or not shown.isprintable():
                raise UserError(f"{place}: {name}: {shown!r} is not a text of one line")
    return Names(read["row"], read["column"])
