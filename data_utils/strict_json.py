"""JSON that is read strictly, and written without NaN and Infinity, which JSON does not have."""

from __future__ import annotations

import json
import math
from typing import Any


def loads(text: str | bytes) -> Any:
    """Parse JSON; refuse NaN, Infinity, keys that occur twice and too deep nesting.

    Raises:
        ValueError: the text is not valid JSON, or contains one of these.

    Example:
        >>> loads('{"uid": 1, "uid": 2}')
        Traceback (most recent call last):
        ...
        ValueError: key 'uid' occurs twice
    """
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except RecursionError:
        raise ValueError("nested too deep") from None
    except ValueError as error:
        # The length of an integer is limited, because its conversion takes quadratic time.
        if "int_max_str_digits" in str(error):
            raise ValueError("a number has more than 4300 digits") from None
        raise


def not_json(line: str, error: ValueError) -> str:
    """Say why a line of a file of JSON lines is not JSON."""
    hint = ""
    if line.strip()[:2] in ("[", "{", "[{"):
        hint = (
            "; write each row as one JSON object on a line of its own, without a list around them"
        )
    return f"not JSON: {error}{hint}"


def dumps(value: Any, *, indent: int | None = None) -> str:
    """Return ``value`` as JSON; NaN and infinite floats become null."""
    return json.dumps(_finite(value), indent=indent, ensure_ascii=False, allow_nan=False)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key {twice!r} occurs twice")
    return values


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON value; use null, or leave the key out")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    return [_finite(entry) for entry in value] if isinstance(value, (list, tuple)) else value
