"""Charts of a page: places of points and ticks; matrices and lists that must fit."""

from __future__ import annotations

import math

import pytest

from mt_dnn.reports.charts import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    line_chart,
    line_style,
    round_values,
    short,
    thin,
)
from mt_dnn.reports.predictions import (
    MOST_LABELS,
    SIDE,
    calibration_view,
    confusion_view,
    split_classes,
)
from mt_dnn.reports.score_file import Bin, ClassScores, Confusion


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (49.2, 73.1, [50, 55, 60, 65, 70]),
        (-0.31, 0.12, [-0.3, -0.2, -0.1, 0, 0.1]),
        (1e-7, 9e-7, [2e-7, 4e-7, 6e-7, 8e-7]),
    ],
)
def test_ticks_are_at_round_values(low, high, ticks):
    assert round_values(low, high, 5) == pytest.approx(ticks)


def test_points_are_inside_the_plot_and_in_proportion():
    chart = line_chart("a", {"one": [(0, 10), (5, 20), (10, 30)]}, marker=5)
    assert chart is not None
    dots = chart.lines[0].dots
    assert [dot.x for dot in dots] == [LEFT, (LEFT + WIDTH - RIGHT) / 2, WIDTH - RIGHT]
    assert chart.marker == dots[1].x
    assert HEIGHT - BOTTOM > dots[0].y > dots[1].y > dots[2].y > TOP
    assert dots[0].y - dots[1].y == pytest.approx(dots[1].y - dots[2].y)
    assert chart.lines[0].last == "30"


def test_a_logarithmic_chart_has_ticks_at_powers_of_ten():
    chart = line_chart("a", {"one": [(0, 2e-7), (1, 0.0), (2, 3e-3)]}, log=True)
    assert chart is not None
    assert len(chart.lines[0].dots) == 2  # zero has no logarithm
    assert [tick.label for tick in chart.y_ticks] == ["1e-06", "1e-05", "0.0001", "0.001"]
    steps = [b.place - a.place for a, b in zip(chart.y_ticks, chart.y_ticks[1:], strict=False)]
    assert steps == pytest.approx([steps[0]] * 3)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("points", [[(1, 1e-300)], [(1, 5), (2, 5)], [(1, 1e300), (2, 1)]])
def test_extreme_values_are_drawn(points, log):
    chart = line_chart("a", {"one": points}, log=log)
    if chart is not None:
        assert all(math.isfinite(dot.y) for dot in chart.lines[0].dots)
        assert chart.x_ticks


def test_a_chart_without_points_is_none():
    assert line_chart("a", {"one": [(1, math.nan), (2, math.inf)]}) is None


def test_a_long_line_is_thinned_to_means():
    points = [(float(x), float(x % 2)) for x in range(1000)]
    thinned = thin(points, 100)
    assert len(thinned) == 100
    assert {y for _, y in thinned} == {0.5}
    chart = line_chart("a", {"one": points})
    assert chart is not None
    assert chart.thinned
    assert not chart.lines[0].dots


def test_lines_differ_in_colour_or_dashes():
    assert len({line_style(index) for index in range(18)}) == 18


@pytest.mark.parametrize(
    ("value", "text"),
    [(71.84, "71.8"), (0.0123, "0.0123"), (1.24e-7, "1.2e-07"), (12345, "12.3k"), (-0.5, "-0.5")],
)
def test_numbers_are_short(value, text):
    assert short(value) == text


def test_a_large_confusion_matrix_groups_the_labels_with_the_fewest_errors():
    size = 72
    counts = [[0] * size for _ in range(size)]
    for i in range(size - 2):  # the last two labels do not occur
        counts[i][i] = 5
        counts[i][(i + 1) % (size - 2)] = i
    view = confusion_view(Confusion([f"l{i}" for i in range(size)], counts))
    assert view is not None
    assert len(view.labels) == MOST_LABELS
    assert view.labels == [*(f"l{i}" for i in range(51, 70)), "51 others"]
    assert view.absent == 2
    assert sum(cell.count for row in view.rows for cell in row) == sum(map(sum, counts))
    for row in view.rows:
        assert sum(cell.share for cell in row) == pytest.approx(1)


def test_a_reliability_diagram_has_a_point_for_each_bin_with_predictions():
    bins = [
        Bin(0.0, 0.5, 0, math.nan, math.nan),
        Bin(0.5, 0.75, 3, 70, 100),
        Bin(0.75, 1, 1, 90, 0),
    ]
    view = calibration_view(bins, 45.0)
    assert view is not None
    assert [(dot.x, dot.y) for dot, _ in view.dots] == [(0.7 * SIDE, 0), (0.9 * SIDE, SIDE)]
    assert view.dots[0][1] > view.dots[1][1]
    assert view.bias == pytest.approx((3 * -30 + 90) / 4)
    assert calibration_view(bins[:1], math.nan) is None


def test_of_many_classes_those_with_the_lowest_f1_are_shown():
    rows = [ClassScores(f"c{i}", 0, 0, float(i), 1) for i in range(50, 0, -1)]
    shown, folded = split_classes(rows)
    assert [row.f1 for row in shown] == list(range(1, 21))
    assert len(folded) == 30
    assert split_classes(rows[:3]) == (rows[:3], [])
