"""Plots of predictions against gold labels.

They use matplotlib without pyplot, which would need global state and a display.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LARGEST = 20
"""Greatest number of rows and columns of a confusion matrix."""
BLUE = "#1f5f8b"
GREY = "#8a8a8a"


def confusion_matrix_figure(
    gold: Sequence[int] | np.ndarray,
    predicted: Sequence[int] | np.ndarray,
    labels: Sequence[str],
    *,
    title: str = "",
    unit: str = "examples",
) -> Figure:
    """Plot a confusion matrix of counts; the colour is the share within the gold class.

    Classes that occur neither as label nor as prediction are left out. Of more than LARGEST classes, those
    in fewest mistakes are added up as "other".

    Args:
        gold, predicted: class ids (N,), indices into ``labels``.
        labels: class names.
        unit: what is counted.
    """
    from matplotlib.figure import Figure

    counts = np.zeros((len(labels), len(labels)), dtype=int)
    np.add.at(counts, (np.asarray(gold, dtype=int), np.asarray(predicted, dtype=int)), 1)
    counts, names = condensed(counts, [_short(label) for label in labels])
    size = len(names)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)  # (gold, predicted)

    # TensorBoard shows pictures about 340 pixels wide, and leaves out pixels to do so: text must be large
    # within the figure, and the figure must have few pixels.
    side, is_small = 3.3 + 0.13 * size, size <= 6
    figure = Figure(figsize=(side + 0.8, side), dpi=110, layout="compressed")
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    tilted = size * max(map(len, names)) > 40  # characters that fit side by side on the axis
    rotation = 90 if not is_small else 45 if tilted else 0
    axes.set_xticks(
        range(size), names, rotation=rotation, ha="right" if rotation == 45 else "center"
    )
    axes.set_yticks(range(size), names)
    axes.tick_params(labelsize=10 if is_small else 8)
    axes.set_xlabel(f"predicted ({unit})")
    axes.set_ylabel(f"gold ({unit})")
    axes.set_title(_title(title, f"{len(gold)} {unit}"), fontsize=11)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    # Thin white lines between the cells.
    axes.set_xticks(np.arange(size - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(size - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5 if is_small else 0.7)
    axes.tick_params(which="minor", length=0)
    # A digit is about 0.6 of the font size wide, and the axes take about 0.7 of the side.
    fitting = 0.9 * 72 * 0.65 * side / size / 0.6
    for row, column in np.ndindex(size, size):
        count, share = counts[row, column], shares[row, column]
        note = f"{count}\n{share:.0%}" if is_small else str(count)
        if count or is_small:
            axes.text(
                column,
                row,
                note,
                ha="center",
                va="center",
                fontsize=min(10 if is_small else 8, fitting / len(str(count))),
                color="white" if share > 0.55 else "#222222",
            )
    bar = figure.colorbar(image, ax=axes, fraction=0.046, pad=0.03, format="{x:.0%}")
    bar.set_label("share of the gold class")
    bar.outline.set_visible(False)
    return figure


def condensed(counts: np.ndarray, labels: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """Leave out the classes without counts, and add up those in fewest mistakes beyond LARGEST classes.

    Args:
        counts: (C, C), gold by predicted.
        labels: C names.

    Returns:
        The smaller matrix and its names, in the order of the classes; the last may be "other (N)", of N
        classes.
    """
    both = counts.sum(axis=0) + counts.sum(axis=1)
    mistakes = both - 2 * counts.diagonal()
    found = np.flatnonzero(both).tolist()
    order = sorted(found, key=lambda c: (-mistakes[c], -both[c]))
    kept = sorted(order if len(order) <= LARGEST else order[: LARGEST - 1])
    names = [labels[c] for c in kept]
    place = np.full(len(counts), len(kept))
    place[kept] = np.arange(len(kept))
    if len(found) > len(kept):
        names.append(f"other ({len(found) - len(kept)})")
    small = np.zeros((len(names), len(names)), dtype=counts.dtype)
    np.add.at(small, np.ix_(place[found], place[found]), counts[np.ix_(found, found)])
    return small, names


def scatter_figure(
    gold: Sequence[float] | np.ndarray,
    predicted: Sequence[float] | np.ndarray,
    *,
    title: str = "",
    pearson: float | None = None,
) -> Figure:
    """Plot predicted against gold numbers, with the diagonal of equal values.

    Args:
        gold, predicted: numbers (N,). Pairs with a non-finite number are left out.
        pearson: Pearson correlation to show in the title.
    """
    from matplotlib.figure import Figure

    gold, predicted = np.asarray(gold, dtype=float), np.asarray(predicted, dtype=float)
    finite = np.isfinite(gold) & np.isfinite(predicted)
    gold, predicted = gold[finite], predicted[finite]

    figure = Figure(figsize=(5.2, 5.0), dpi=110, layout="compressed")
    axes = figure.add_subplot()
    low, high = _limits(np.concatenate([gold, predicted]))
    axes.plot([low, high], [low, high], color=GREY, linewidth=1, linestyle="--", zorder=1)
    # Many points are drawn fainter, so that their density is visible.
    opacity = float(np.clip(120 / max(len(gold), 1), 0.12, 0.7))
    axes.scatter(gold, predicted, s=16, color=BLUE, alpha=opacity, linewidths=0, zorder=2)
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal", xlabel="gold", ylabel="predicted")
    pearson_note = "" if pearson is None else f"Pearson {pearson:.2f}, "
    axes.set_title(_title(title, f"{pearson_note}{len(gold)} examples"), fontsize=11)
    axes.grid(color="#e6e6e6", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _limits(values: np.ndarray) -> tuple[float, float]:
    """Range of both axes, with a margin; never empty, even for equal values or none."""
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    margin = 0.05 * (high - low) or 0.5
    return low - margin, high + margin


def _short(label: str) -> str:
    return label if len(label) <= 18 else f"{label[:17]}…"


def _title(title: str, note: str) -> str:
    return f"{title}\n{note}" if title else note
