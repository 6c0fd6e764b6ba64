"""Whether SMART's perturbation did anything, over the whole run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class SmartHealth:
    """Each task's gain over random noise of equal size, and the batches without the term."""

    def __init__(self) -> None:
        self.gains: dict[str, list[float]] = {}
        self.dropped: dict[str, float] = {}

    def add(self, values: Mapping[str, float], batches: Mapping[str, int]) -> None:
        """Args:
        values: means of a log window, by tag.
        batches: task -> its batches in that window.
        """
        for task, count in batches.items():
            if f"smart/{task}/dropped" in values:
                dropped = values[f"smart/{task}/dropped"] * count
                self.dropped[task] = self.dropped.get(task, 0.0) + dropped
            if f"smart/{task}/gain" in values:
                self.gains.setdefault(task, []).append(values[f"smart/{task}/gain"])

    def line(self) -> str:
        """One line for the end of a run. First and last gain: a mean would hide a term that died."""
        parts = []
        for task, dropped in self.dropped.items():
            gains = self.gains.get(task)
            gain = (
                f"{gains[0]:.3g}x at first, {gains[-1]:.3g}x at last" if gains else "not measured"
            )
            parts.append(f"{task} {gain}, {round(dropped)} batches dropped")
        return "SMART: gain over random noise of equal size: " + "; ".join(parts)

    def state_dict(self) -> dict[str, Any]:
        return {"gains": self.gains, "dropped": self.dropped}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.gains, self.dropped = dict(state["gains"]), dict(state["dropped"])
