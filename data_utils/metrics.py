"""Scores. Percentages (0 to 100, correlations -100 to 100), as the papers print them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from data_utils.registry import Registry


@dataclass(frozen=True)
class Metric:
    """One score of a whole data set."""

    function: Callable[..., Any]
    """``function(gold, predicted, probabilities)`` of arrays over examples (or candidates)."""
    greater_is_better: bool = True
    is_number: bool = True
    """False for a confusion matrix, which cannot select a model."""
    constant: float | None = None
    """Score of a constant guess, where the function alone leaves it undefined."""

    def __call__(self, gold: Any, predicted: Any, probabilities: Any = None) -> Any:
        gold, predicted = _flat(gold), _flat(predicted)
        if len(gold) != len(predicted):
            raise ValueError(f"{len(gold)} gold labels for {len(predicted)} predictions")
        return self.function(gold, predicted, probabilities)


def _flat(values: Any) -> np.ndarray:
    """One entry per example, or every candidate's in a row where examples hold several."""
    if len(values) and isinstance(values[0], (list, tuple, np.ndarray)):
        return np.concatenate([np.asarray(v) for v in values])
    return np.asarray(values)


METRICS: Registry[Metric] = Registry("metric")


def accuracy(gold: np.ndarray, predicted: np.ndarray, _: Any = None) -> float:
    return 100.0 * float(np.mean(gold == predicted))


def _f1(average: str) -> Callable[..., float]:
    def f1(gold: np.ndarray, predicted: np.ndarray, _: Any = None) -> float:
        from sklearn.metrics import f1_score

        options = (
            {"labels": [1], "average": "macro"} if average == "binary" else {"average": average}
        )
        return 100.0 * float(f1_score(gold, predicted, zero_division=0, **options))

    return f1


def matthews(gold: np.ndarray, predicted: np.ndarray, _: Any = None) -> float:
    """0 where either side has one class only, which is the limit."""
    from sklearn.metrics import matthews_corrcoef

    if len(np.unique(gold)) < 2 or len(np.unique(predicted)) < 2:
        return 0.0
    return 100.0 * float(matthews_corrcoef(gold, predicted))


def _correlation(name: str) -> Callable[..., float]:
    def correlation(gold: np.ndarray, predicted: np.ndarray, _: Any = None) -> float:
        from scipy import stats

        if len(gold) < 2 or np.ptp(gold) == 0 or np.ptp(predicted) == 0:
            warnings.warn(f"{name} of constant values is undefined; reported as 0", stacklevel=2)
            return 0.0
        return 100.0 * float(getattr(stats, name)(gold, predicted).statistic)

    return correlation


def auc(gold: np.ndarray, _: np.ndarray, probabilities: Any) -> float:
    """Area under the ROC curve.

    Beyond two classes: each against the rest, averaged over the classes that occur.
    """
    from sklearn.metrics import roc_auc_score

    if len(np.unique(gold)) < 2:
        warnings.warn("AUC with one class only is undefined; reported as 50", stacklevel=2)
        return 50.0
    if isinstance(probabilities[0], (list, tuple)) and len(probabilities) == len(gold):
        scores = np.asarray(probabilities, dtype=float)
        if scores.shape[1] > 2:
            areas = [roc_auc_score(gold == c, scores[:, c]) for c in np.unique(gold)]
            return 100.0 * float(np.mean(areas))
        return 100.0 * float(roc_auc_score(gold, scores[:, -1]))
    return 100.0 * float(roc_auc_score(gold, _flat(probabilities)))


def confusion(
    gold: np.ndarray, predicted: np.ndarray, probabilities: Any = None
) -> list[list[int]]:
    """Counts; rows are gold classes, columns predicted ones.

    (C, C) where the probabilities tell how many classes there are, else those that occur.
    """
    from sklearn.metrics import confusion_matrix

    classes = None
    if probabilities is not None and len(probabilities) == len(gold):
        classes = np.arange(len(probabilities[0]))
    return confusion_matrix(gold, predicted, labels=classes).tolist()


METRICS.register("ACC")(Metric(accuracy))
METRICS.register("F1")(Metric(_f1("binary")))
METRICS.register("F1MAC")(Metric(_f1("macro")))
METRICS.register("F1MIC")(Metric(_f1("micro")))
METRICS.register("MCC")(Metric(matthews))
METRICS.register("Pearson")(Metric(_correlation("pearsonr"), constant=0.0))
METRICS.register("Spearman")(Metric(_correlation("spearmanr"), constant=0.0))
METRICS.register("AUC")(Metric(auc, constant=50.0))
METRICS.register("CMAT")(Metric(confusion, is_number=False))
