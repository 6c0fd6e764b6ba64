"""The picture of the cosines between the tasks' gradients."""

from __future__ import annotations

import json

import numpy as np

from mt_dnn.tracking.cosines import CosineMeans, cosine_figure


def test_a_picture_has_the_means_since_the_last_one_and_survives_a_checkpoint():
    means = CosineMeans()
    means.add({"train/cosine/a/b": 0.5, "train/a/loss": 9.0})
    resumed = CosineMeans()
    resumed.load_state_dict(json.loads(json.dumps(means.state_dict())))
    resumed.add({"train/cosine/a/b": -0.25, "train/cosine/a/c": 0.125})
    assert resumed.take() == {("a", "b"): 0.125, ("a", "c"): 0.125}
    assert resumed.take() == {}


def test_the_matrix_is_symmetric_and_empty_where_two_tasks_never_met():
    axes, *_ = cosine_figure({("b", "c"): -0.5, ("a", "b"): 0.25}).axes
    (image,) = axes.images
    shown = np.ma.filled(image.get_array(), np.nan)
    nan = np.nan
    np.testing.assert_array_equal(shown, [[1, 0.25, nan], [0.25, 1, -0.5], [nan, -0.5, 1]])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b", "c"]
    assert [text.get_text() for text in axes.texts] == [
        *("1.00", "0.25", "0.25", "1.00", "-0.50", "-0.50", "1.00")
    ]
