"""Monitor over the whole run whether SMART's terms had an effect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class SmartHealth:
    """Collects each task's gain over random noise of equal size, its dropped batches, and rho.

    A batch is dropped when its smoothness term is non-finite; it is then trained without the term. rho
    is the size of a term's gradient relative to the supervised one (mt_dnn/objective/balance.py), by
    the names ``rho`` (R_s) and ``rho_proximal`` (D_Breg).
    """

    RHO = ("rho", "rho_proximal")

    def __init__(self) -> None:
        self.gains: dict[str, list[float]] = {}
        self.dropped: dict[str, float] = {}
        self.rho: dict[str, dict[str, list[float]]] = {name: {} for name in self.RHO}

    def add(
        self, values: Mapping[str, float], batches: Mapping[str, int]
    ) -> dict[str, dict[str, float]]:
        """Add the values of a log interval.

        Args:
            values: means over the interval, by tag.
            batches: task -> number of its batches in the interval.

        Returns:
            For each name of rho, task -> value of the tasks that were measured for the first time.
        """
        first: dict[str, dict[str, float]] = {name: {} for name in self.RHO}
        for task, count in batches.items():
            if f"smart/{task}/dropped" in values:
                dropped = values[f"smart/{task}/dropped"] * count
                self.dropped[task] = self.dropped.get(task, 0.0) + dropped
            if f"smart/{task}/gain" in values:
                self.gains.setdefault(task, []).append(values[f"smart/{task}/gain"])
            for name in self.RHO:
                if f"smart/{task}/{name}" in values:
                    value, found = values[f"smart/{task}/{name}"], self.rho[name]
                    if value == 0 and values.get(f"smart/{task}/dropped"):
                        continue  # the measured batch was dropped
                    if task not in found:
                        first[name][task] = value
                    found.setdefault(task, []).append(value)
        return first

    def line(self) -> str | None:
        """Summarize the run in one line; None without SMART.

        Shows the first and the last value; a mean would hide a term that lost its effect.
        """
        parts = []
        for task, dropped in self.dropped.items():
            gains = self.gains.get(task)
            gain = f"{gains[0]:.3g}x first, {gains[-1]:.3g}x last" if gains else "not measured"
            parts.append(f"{task} {gain}, {round(dropped)} batches dropped")
        lines = ["gain over random noise of equal size: " + "; ".join(parts)] if parts else []
        for name, found in self.rho.items():
            if found:
                shown = (f"{t} {v[0]:.2g} first, {v[-1]:.2g} last" for t, v in found.items())
                lines.append(f"{name}: " + "; ".join(shown))
        return "SMART: " + ". ".join(lines) if lines else None

    def state_dict(self) -> dict[str, Any]:
        return {"gains": self.gains, "dropped": self.dropped, "rho": self.rho}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.gains, self.dropped = dict(state["gains"]), dict(state["dropped"])
        # Older checkpoints have no rho.
        self.rho = {name: dict(state.get("rho", {}).get(name, {})) for name in self.RHO}
