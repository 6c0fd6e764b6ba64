"""Nested settings as dotted names, and back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any


def flatten(
    values: Mapping[str, Any], *, leaves: Collection[str] = (), prefix: str = ""
) -> dict[str, Any]:
    """Flatten nested sections to dotted names: ``{"optim": {"lr": 1}}`` -> ``{"optim.lr": 1}``.

    Args:
        leaves: dotted names whose value is a mapping that stays as it is.
    """
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and name not in leaves:
            flat |= flatten(value, leaves=leaves, prefix=f"{name}.")
        else:
            flat[name] = value
    return flat


def nest(values: Mapping[str, Any]) -> dict[str, Any]:
    """Inverse of :func:`flatten`."""
    nested: dict[str, Any] = {}
    for name, value in values.items():
        *sections, key = name.split(".")
        place = nested
        for section in sections:
            place = place.setdefault(section, {})
        place[key] = value
    return nested
