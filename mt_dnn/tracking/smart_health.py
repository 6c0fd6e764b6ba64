"""Monitor over the whole run whether SMART's adversarial perturbation had an effect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class SmartHealth:
    """Collects each task's gain over random noise of equal size and its dropped batches.

    A batch is dropped when its smoothness term is non-finite; it is then trained without the term.
    """

    def __init__(self) -> None:
        self.gains: dict[str, list[float]] = {}
        self.dropped: dict[str, float] = {}

    def add(self, values: Mapping[str, float], batches: Mapping[str, int]) -> None:
        """Add the values of a log interval.

        Args:
            values: means over the interval, by tag.
            batches: task -> number of its batches in the interval.
        """
        for task, count in batches.items():
            if f"smart/{task}/dropped" in values:
                dropped = values[f"smart/{task}/dropped"] * count
                self.dropped[task] = self.dropped.get(task, 0.0) + dropped
            if f"smart/{task}/gain" in values:
                self.gains.setdefault(task, []).append(values[f"smart/{task}/gain"])

    def line(self) -> str:
        """Summarize the run in one line.

        Shows the first and the last gain; a mean would hide a term that lost its effect.
        """
        parts = []
        for task, dropped in self.dropped.items():
            gains = self.gains.get(task)
            gain = f"{gains[0]:.3g}x first, {gains[-1]:.3g}x last" if gains else "not measured"
            parts.append(f"{task} {gain}, {round(dropped)} batches dropped")
        return "SMART: gain over random noise of equal size: " + "; ".join(parts)

    def state_dict(self) -> dict[str, Any]:
        return {"gains": self.gains, "dropped": self.dropped}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.gains, self.dropped = dict(state["gains"]), dict(state["dropped"])
