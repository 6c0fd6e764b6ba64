"""Metrics of classes: ACC, F1, F1MAC, F1MIC, MCC and CMAT.

They compare decisions. A decision belongs to an example, a candidate or a word; for sets of labels, to
each label of each example.
"""

from __future__ import annotations

import numpy as np

from data_utils.metrics.base import Results, Undefined, metric
from data_utils.metrics.class_counts import (
    ACCURACY,
    F1_MACRO,
    F1_MICRO,
    F1_POSITIVE,
    MATTHEWS,
)
from data_utils.metrics.outcome import Outcome

CLASSES = (Outcome.BINARY, Outcome.CLASS, Outcome.CANDIDATES, Outcome.WORDS)
"""Decisions for one of the classes of a task."""


@metric(
    fits=(*CLASSES, Outcome.POSITION, Outcome.TOKENS, Outcome.SET),
    statistics=ACCURACY,
)
def accuracy(results: Results) -> float:
    """Share of right decisions; for label sets, the share of sets that are entirely right."""
    gold, predicted = results.classes()
    right = gold == predicted
    return 100.0 * float(np.mean(right.all(axis=-1) if results.has_sets else right))


@metric(fits=(Outcome.BINARY, Outcome.CANDIDATES, Outcome.SET), statistics=F1_POSITIVE)
def f1(results: Results) -> float:
    """F1 of class 1; for label sets, the micro average. Undefined if nothing is positive."""
    if results.has_sets:
        return f1_micro(results)
    classes, agreed, named = _counts(results)
    if 1 not in classes:
        raise Undefined("labels and predictions without class 1")
    return 100.0 * float((2 * agreed / named)[classes == 1].item())


@metric(fits=(*CLASSES, Outcome.SET), statistics=F1_MACRO)
def f1_macro(results: Results) -> float:
    """Macro F1: the mean of the F1 of all classes that occur in gold or predictions.

    For label sets, the mean is over all labels. A label that never occurs counts as 0, as in
    scikit-learn.
    """
    _, agreed, named = _counts(results)
    return 100.0 * float(np.mean(2 * agreed / np.maximum(named, 1)))


@metric(fits=(*CLASSES, Outcome.SET), statistics=F1_MICRO)
def f1_micro(results: Results) -> float:
    """Micro F1: F1 over the decisions of all classes; for single labels, the accuracy."""
    _, agreed, named = _counts(results)
    return 100.0 * float(2 * agreed.sum() / named.sum())


def _counts(results: Results) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count decisions per class.

    Returns:
        Three arrays (C,): ids; ``agreed``, the decisions in which gold and prediction are the class;
        and ``named``, its occurrences in gold plus those in predictions. F1 is 2 agreed / named.
    """
    gold, predicted = results.classes()
    if results.has_sets:
        agreed, named = (gold & predicted).sum(axis=0), (gold + predicted).sum(axis=0)
        if not named.any():
            raise Undefined("label sets that are all empty")
        return np.arange(len(named)), agreed, named
    classes, codes = np.unique(np.concatenate([gold, predicted]), return_inverse=True)
    gold, predicted = np.split(codes, 2)
    agreed = np.bincount(gold[gold == predicted], minlength=len(classes))
    return classes, agreed, np.bincount(codes, minlength=len(classes))


@metric(fits=CLASSES, constant=0.0, statistics=MATTHEWS)
def matthews(results: Results) -> float:
    """Matthews correlation of the decisions.

    It is undefined if gold or predictions have a single class. Then 0, the limit, is reported.
    """
    from sklearn.metrics import matthews_corrcoef

    gold, predicted = (side.ravel() for side in results.classes())
    if len(np.unique(gold)) < 2 or len(np.unique(predicted)) < 2:
        raise Undefined("one class only")
    return 100.0 * float(matthews_corrcoef(gold, predicted))


@metric(fits=(*CLASSES, Outcome.POSITION, Outcome.SET), is_number=False, undefined=())
def confusion(results: Results) -> list:
    """Confusion matrix (C, C) of counts; rows are gold classes, columns are predicted classes.

    For label sets it is (C, 2, 2): a matrix for each label, with the classes absent and present.
    """
    gold, predicted = results.classes()
    if results.has_sets:
        return [_matrix(g, p, 2) for g, p in zip(gold.T, predicted.T, strict=True)]
    return _matrix(gold, predicted, results.class_count)


def _matrix(gold: np.ndarray, predicted: np.ndarray, size: int) -> list[list[int]]:
    counts = np.zeros((size, size), dtype=int)
    np.add.at(counts, (gold.astype(int), predicted.astype(int)), 1)
    return counts.tolist()
