"""Figures of predictions: confusion matrix and scatter plot."""

import math

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from mt_dnn.tracking.prediction_plots import confusion_matrix_figure, scatter_figure


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


def test_scatter_leaves_out_what_is_not_finite_and_takes_no_rows():
    axes = scatter_figure([1.0, 2.0, 3.0], [1.5, math.nan, 2.5], pearson=90.0).axes[0]
    np.testing.assert_allclose(axes.collections[0].get_offsets(), [[1.0, 1.5], [3.0, 2.5]])
    assert axes.get_title() == "Pearson 90.00, 2 examples"
    assert axes.get_xlim() == axes.get_ylim()
    scatter_figure([], [])
