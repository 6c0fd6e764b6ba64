"""Read and check the key ``windows`` of a task."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from data_utils.errors import UserError, shown
from data_utils.source_keys import check_keys
from data_utils.task_def import Windows

LEAST = {"stride": 0, "max_windows": 1}
"""Key -> its smallest value."""


def read_windows(value: Any, where: str) -> Windows | None:
    """Return the windows of a task; None if the task file does not ask for them.

    The task type checks whether they fit, and the name of ``merge``.

    Raises:
        UserError: a key is unknown, or its value has another type or is too small.
    """
    if value is None:
        return None
    where = f"{where}: windows"
    if not isinstance(value, dict):
        raise UserError(
            f"{where}: {shown(value)} is not a mapping, such as {{stride: 32, merge: mean}}; remove the key "
            f"to truncate long texts"
        )
    check_keys(value, [field.name for field in fields(Windows)], where)
    given = {key: entry for key, entry in value.items() if entry is not None}
    for key, least in LEAST.items():
        if key in given and (type(given[key]) is not int or given[key] < least):
            raise UserError(
                f"{where}: {key}: {shown(given[key])}; it must be a whole number of at least {least}"
            )
    if not isinstance(given.get("merge", ""), str):
        raise UserError(f"{where}: merge: {shown(given['merge'])} is not a string")
    return Windows(**given)
