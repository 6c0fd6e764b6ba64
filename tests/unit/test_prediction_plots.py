"""Figures of predictions: confusion matrix and scatter plot."""

import math

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from mt_dnn.tracking.prediction_plots import (
    LARGEST,
    condensed,
    confusion_matrix_figure,
    scatter_figure,
)


def test_confusion_matrix_counts_gold_in_rows_and_normalises_them():
    figure = confusion_matrix_figure([0, 0, 0, 0, 1], [0, 1, 1, 1, 1], ["no", "yes"], title="t")
    axes = figure.axes[0]
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.25, 0.75], [0.0, 1.0]])
    cells = {text.get_position(): text.get_text() for text in axes.texts}
    # Positions are (column, row): (predicted, gold).
    assert cells == {(0, 0): "1\n25%", (1, 0): "3\n75%", (0, 1): "0\n0%", (1, 1): "1\n100%"}
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["no", "yes"]


@pytest.mark.parametrize(
    "labels",
    [["a"], ["negative", "positive"], [f"a_long_class_name_{i}" for i in range(20)]],
    ids=len,
)
def test_confusion_matrix_labels_stay_inside_the_picture(labels):
    ids = range(len(labels))
    figure = confusion_matrix_figure(ids, ids, labels, title="dev")
    FigureCanvasAgg(figure).draw()
    axes = figure.axes[0]
    width, height = figure.bbox.size
    for part in (axes.yaxis.label, axes.xaxis.label, axes.title, *axes.get_xticklabels()):
        box = part.get_window_extent()
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= width
        assert box.y1 <= height


def test_classes_that_do_not_occur_are_left_out():
    axes = confusion_matrix_figure([0, 3], [0, 0], ["a", "b", "c", "d"], unit="words").axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["a", "d"]
    assert axes.get_xlabel() == "predicted (words)"
    assert axes.get_title() == "2 words"


def test_of_many_classes_those_in_most_mistakes_are_shown_and_nothing_is_lost():
    names = [f"intent {i}" for i in range(72)]
    gold = list(range(72)) * 2
    predicted = [*range(72), *(70 if c in (5, 71) else c for c in range(72))]
    counts = np.zeros((72, 72), dtype=int)
    np.add.at(counts, (gold, predicted), 1)
    small, shown = condensed(counts, names)
    assert len(shown) == LARGEST
    assert {"intent 5", "intent 70", "intent 71"} <= set(shown)
    assert shown[-1] == f"other ({72 - LARGEST + 1})"
    assert small.sum() == counts.sum()
    assert small[-1, -1] == 2 * (72 - LARGEST + 1)
    assert small[shown.index("intent 5"), shown.index("intent 70")] == 1


def test_large_counts_stay_inside_their_cells():
    gold = np.repeat(np.arange(LARGEST), 1000)
    figure = confusion_matrix_figure(
        np.concatenate([gold, np.zeros(1_000_000, dtype=int)]),
        np.concatenate([gold, np.zeros(1_000_000, dtype=int)]),
        [str(i) for i in range(LARGEST)],
    )
    FigureCanvasAgg(figure).draw()
    axes = figure.axes[0]
    cell = axes.get_window_extent().width / LARGEST
    assert max(text.get_window_extent().width for text in axes.texts) <= cell


def test_scatter_leaves_out_what_is_not_finite_and_takes_no_rows():
    axes = scatter_figure([1.0, 2.0, 3.0], [1.5, math.nan, 2.5], pearson=90.0).axes[0]
    np.testing.assert_allclose(axes.collections[0].get_offsets(), [[1.0, 1.5], [3.0, 2.5]])
    assert axes.get_title() == "Pearson 90.00, 2 examples"
    assert axes.get_xlim() == axes.get_ylim()
    scatter_figure([], [])
