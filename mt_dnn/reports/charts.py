"""Geometry of the charts on a page; the templates draw them as inline SVG.

matplotlib's SVG has fixed colours, and importing it takes longer than making a page. Here a line is a
CSS class, so that its colour follows the reader's light or dark theme.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 360, 200
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 10, 24
"""Margins of the plot, for the labels of the ticks."""
COLOURS = 6
"""Number of colours in style.css; later lines repeat them with dashes."""
MOST_POINTS = 200
"""A line with more points shows means of neighbours."""
LEAST_LOG = 1e-12
"""Values up to this one are left out of a logarithmic axis."""
LARGEST = 1e100
"""Greater values are left out of all charts, as those that are not finite."""

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Tick:
    """A labelled place on an axis."""

    place: float
    label: str


@dataclass(frozen=True)
class Dot:
    """A point in the plane of the SVG, with the text that a browser shows over it."""

    x: float
    y: float
    note: str


@dataclass(frozen=True)
class Line:
    """A line of a chart."""

    name: str
    style: str
    """CSS classes of its colour and dashes."""
    path: str
    """Coordinates for ``points`` of a polyline."""
    dots: list[Dot]
    """Its points, if they are few enough to be drawn."""
    last: str
    """Its last value."""


@dataclass(frozen=True)
class LineChart:
    """Lines over updates, or over another variable."""

    title: str
    lines: list[Line]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    marker: float | None
    """x of the vertical line at the best model; None: no such line."""
    log: bool
    thinned: bool
    """Whether a point is the mean of neighbours."""
    over: str = "update"
    """What the x axis is, in the singular."""

    width, height = WIDTH, HEIGHT
    left, right, top, bottom = LEFT, WIDTH - RIGHT, TOP, HEIGHT - BOTTOM


def line_style(index: int) -> str:
    """CSS classes of the line with this number."""
    dashes = ("", " dash", " dots")[index // COLOURS % 3]
    return f"c{index % COLOURS}{dashes}"


def line_chart(
    title: str,
    series: Mapping[str, Points],
    *,
    log: bool = False,
    marker: float | None = None,
    styles: Mapping[str, int] | None = None,
    over: str = "update",
) -> LineChart | None:
    """Lay out a chart of lines; None if there is no point to draw.

    Args:
        series: name of the line -> its points (x, y), in the order of x. Values beyond LARGEST are
            left out, and with ``log`` those up to LEAST_LOG.
        log: use a logarithmic y axis.
        marker: x of a vertical line.
        styles: name -> number of its style, so that a name has one colour in all charts; None
            numbers the lines in their order.
        over: what x is, in the singular.
    """
    shown = {name: _drawable(points, log) for name, points in series.items()}
    shown = {name: points for name, points in shown.items() if points}
    if not shown:
        return None
    thinned = any(len(points) > MOST_POINTS for points in shown.values())
    shown = {name: thin(points) for name, points in shown.items()}
    xs = [x for points in shown.values() for x, _ in points]
    ys = [y for points in shown.values() for _, y in points]
    x_axis = Axis.around([*xs, *([] if marker is None else [marker])], LEFT, WIDTH - RIGHT)
    y_axis = Axis.around(ys, HEIGHT - BOTTOM, TOP, log=log, padded=True)
    lines = []
    for index, (name, points) in enumerate(shown.items()):
        places = [(x_axis.place(x), y_axis.place(y)) for x, y in points]
        notes = [f"{name}, {over} {x:g}: {short(y)}" for x, y in points]
        few = len(points) <= 40
        lines.append(
            Line(
                name=name,
                style=line_style(styles[name] if styles else index),
                path=" ".join(f"{x:.1f},{y:.1f}" for x, y in places),
                dots=[Dot(*place, note) for place, note in zip(places, notes, strict=True)]
                if few
                else [],
                last=short(points[-1][1]),
            )
        )
    return LineChart(
        title=title,
        lines=lines,
        x_ticks=x_axis.ticks(5),
        y_ticks=y_axis.ticks(5),
        marker=None if marker is None else x_axis.place(marker),
        log=log,
        thinned=thinned,
        over=over,
    )


def _drawable(points: Points, log: bool) -> list[tuple[float, float]]:
    least = LEAST_LOG if log else -LARGEST
    return [(x, y) for x, y in points if least < y < LARGEST]


def thin(points: Points, most: int = MOST_POINTS) -> list[tuple[float, float]]:
    """Reduce to at most ``most`` points, each the mean of equally many neighbours."""
    size = math.ceil(len(points) / most)
    if size <= 1:
        return list(points)
    groups = [points[i : i + size] for i in range(0, len(points), size)]
    return [
        (sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group))
        for group in groups
    ]


@dataclass(frozen=True)
class Axis:
    """Maps values of ``low`` .. ``high`` to places of the SVG."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    @classmethod
    def around(
        cls,
        values: Iterable[float],
        start: float,
        end: float,
        *,
        log: bool = False,
        padded: bool = False,
    ) -> Axis:
        """An axis that holds the values, with a margin if ``padded``; never of length 0."""
        values = [math.log10(value) if log else value for value in values]
        low, high = min(values), max(values)
        margin = 0.05 * (high - low) if padded else 0.0
        if high == low:
            margin = 0.5 if log else abs(high) * 0.1 or 0.5
        return cls(low - margin, high + margin, start, end, log)

    def place(self, value: float) -> float:
        """The coordinate of a value."""
        value = math.log10(value) if self.log else value
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, most: int) -> list[Tick]:
        """At most about ``most`` ticks at round values; on a log axis at powers of ten."""
        if self.log:
            powers = list(range(math.ceil(self.low), math.floor(self.high) + 1))
            if len(powers) >= 2:
                powers = powers[:: math.ceil(len(powers) / most)]
                return [Tick(self.place(10.0**n), f"{10.0**n:.3g}") for n in powers]
            ends = (10.0**self.low, 10.0**self.high)
            values = [value for value in round_values(*ends, most) if value > 0]
        else:
            values = round_values(self.low, self.high, most)
        return [Tick(self.place(value), short(value)) for value in values]


def round_values(low: float, high: float, most: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten between ``low`` and ``high``, at most ``most``."""
    step = 10.0 ** math.floor(math.log10((high - low) / most))
    step *= next((n for n in (1, 2, 5) if (high - low) / (n * step) <= most), 10)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [n * step for n in range(first, last + 1)]


def short(value: float) -> str:
    """Format a number of any size in a few characters: ``0.0123``, ``71.8``, ``1.2e-07``, ``12k``."""
    if not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1e6 or size < 1e-4:
        return f"{value:.2g}"
    if size >= 1e4:
        return f"{value / 1e3:.3g}k"
    return f"{value:.4g}" if size >= 1000 else f"{value:.3g}"
