"""The cosines between the tasks' gradients on the encoder, as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COSINE = "train/cosine/"
"""Start of the tags of the cosines, followed by two tasks in alphabetical order."""


class CosineMeans:
    """Means of the cosines over the log points since the last picture."""

    def __init__(self) -> None:
        self.sums: dict[str, list[float]] = {}
        """Pair of tasks, as the tag has it -> sum of its cosines, number of log points."""

    def add(self, values: Mapping[str, float]) -> None:
        """Add the values of a log point, by tag."""
        for tag, value in values.items():
            if tag.startswith(COSINE):
                total, count = self.sums.get(pair := tag.removeprefix(COSINE), (0.0, 0))
                self.sums[pair] = [total + value, count + 1]

    def take(self) -> dict[tuple[str, str], float]:
        """Return the mean cosine of each pair of tasks, and begin anew."""
        means = {}
        for pair, (total, count) in self.sums.items():
            one, _, other = pair.partition("/")
            means[one, other] = total / count
        self.sums = {}
        return means

    def state_dict(self) -> dict[str, Any]:
        return dict(self.sums)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.sums = dict(state)


def cosine_figure(cosines: Mapping[tuple[str, str], float]) -> Figure:
    """Plot a matrix of cosines, red for tasks in conflict and blue for tasks that agree.

    Args:
        cosines: pair of tasks -> cosine. A pair without one has an empty cell.
    """
    from matplotlib.figure import Figure

    tasks = list(dict.fromkeys(task for pair in sorted(cosines) for task in pair))
    place = {task: index for index, task in enumerate(tasks)}
    matrix = np.full((len(tasks), len(tasks)), np.nan)
    np.fill_diagonal(matrix, 1.0)
    for (one, other), cosine in cosines.items():
        matrix[place[one], place[other]] = matrix[place[other], place[one]] = cosine

    # As for confusion matrices: TensorBoard shows pictures about 340 pixels wide.
    side, is_small = 3.3 + 0.2 * len(tasks), len(tasks) <= 8
    figure = Figure(figsize=(side + 0.6, side), dpi=110, layout="compressed")
    axes = figure.add_subplot()
    image = axes.imshow(matrix, cmap="RdBu", vmin=-1.0, vmax=1.0)
    axes.set_xticks(range(len(tasks)), tasks, rotation=45 if is_small else 90, ha="right")
    axes.set_yticks(range(len(tasks)), tasks)
    axes.tick_params(labelsize=10 if is_small else 8, length=0)
    axes.spines[:].set_visible(False)
    axes.set_title("cosine of the tasks' gradients", fontsize=11)
    if is_small:
        for row, column in np.argwhere(np.isfinite(matrix)):
            value = matrix[row, column]
            colour = "white" if abs(value) > 0.6 else "#222222"
            axes.text(
                column, row, f"{value:.2f}", ha="center", va="center", fontsize=9, color=colour
            )
    figure.colorbar(image, ax=axes, fraction=0.046, pad=0.03).outline.set_visible(False)
    return figure
