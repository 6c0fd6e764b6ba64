"""Settings that older versions saved in the config.yml of a run, in today's terms."""

from __future__ import annotations

from typing import Any

OLD_SETTINGS = ("smoothness.detach_clean",)
"""Dotted names of saved settings that no longer exist."""


def upgrade(values: dict[str, Any]) -> dict[str, Any]:
    """Return the sections of a saved config.yml with today's settings.

    ``smoothness.detach_clean`` became ``smoothness.detach``. The versions that had it perturbed word
    embeddings only, so ``smoothness.space`` is set to words.
    """
    smoothness = values.get("smoothness")
    if not isinstance(smoothness, dict) or "detach_clean" not in smoothness:
        return values
    known = {"detach": "clean" if smoothness["detach_clean"] else "none", "space": "words"}
    if smoothness["detach_clean"] is None:
        del known["detach"]
    kept = {key: value for key, value in smoothness.items() if key != "detach_clean"}
    return {**values, "smoothness": known | kept}
