"""Metric: the mean absolute error between ordered classes."""

import numpy as np

from data_utils.metrics import metric
from data_utils.registries import METRICS


@METRICS.register("MAE")
@metric(greater_is_better=False)
def mean_absolute_error(results):
    """Mean absolute error, in classes."""
    gold, predicted = results.classes()
    return float(np.abs(gold - predicted).mean())
