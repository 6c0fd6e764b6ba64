"""Statistics of the metrics of classes: counts of decisions, summed over examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from data_utils.metrics.statistics import Statistics, percent

if TYPE_CHECKING:
    from data_utils.metrics.base import Results


def _right(results: Results) -> np.ndarray:
    """Return right decisions and decisions of each example, (N, 2); a label set is one decision."""
    gold, predicted = results.classes()
    if results.has_sets:
        right = (gold == predicted).all(axis=1)
        return np.column_stack([right, np.ones(len(right))]).astype(float)
    owners, size = results.owners(), len(results.gold)
    right = np.bincount(owners, gold == predicted, minlength=size)
    return np.column_stack([right, np.bincount(owners, minlength=size)])


def _agreed_and_named(results: Results) -> np.ndarray:
    """Return for each example (N, 2) decisions on which gold and prediction agree, and class mentions.

    F1 over the decisions of all classes is 2 agreed / mentions.
    """
    if not results.has_sets:
        return _right(results) * [1, 2]
    gold, predicted = results.classes()
    return np.column_stack([(gold & predicted).sum(1), (gold + predicted).sum(1)]).astype(float)


def _positive(results: Results) -> np.ndarray:
    """Return the two counts of :func:`_agreed_and_named` of class 1 alone; of all labels of sets."""
    if results.has_sets:
        return _agreed_and_named(results)
    gold, predicted = (side == 1 for side in results.classes())
    owners, size = results.owners(), len(results.gold)
    named = gold.astype(float) + predicted
    counts = [np.bincount(owners, values, minlength=size) for values in (gold & predicted, named)]
    return np.column_stack(counts)


def _by_class(results: Results, *, sides: tuple[str, ...]) -> Any:
    """Return counts by class, a sparse array (N, len(sides) * C).

    Args:
        sides: the counts, in order: ``agreed``, ``gold``, ``predicted``, and ``named``, which is gold plus
            predicted.
    """
    from scipy.sparse import coo_array, hstack

    gold, predicted = results.classes()
    if results.has_sets:
        counts = {"agreed": gold & predicted, "gold": gold, "predicted": predicted}
        blocks = {name: coo_array(values.astype(float)) for name, values in counts.items()}
    else:
        shape = (len(results.gold), results.class_count)
        owners, agree = results.owners(), gold == predicted
        places = {
            "agreed": (owners[agree], gold[agree]),
            "gold": (owners, gold),
            "predicted": (owners, predicted),
        }
        blocks = {
            name: coo_array((np.ones(len(rows)), (rows, classes)), shape=shape)
            for name, (rows, classes) in places.items()
        }
    blocks["named"] = blocks["gold"] + blocks["predicted"]
    return hstack([blocks[side] for side in sides], format="csr")


def _macro(results: Results) -> Any:
    """Return a column that is 1 for label sets, else 0, then agreed and named by class."""
    from scipy.sparse import csr_array, hstack

    sets = np.full((len(results.gold), 1), float(results.has_sets))
    return hstack([csr_array(sets), _by_class(results, sides=("agreed", "named"))], format="csr")


def _macro_f1_of(sums: np.ndarray) -> np.ndarray:
    """Return the mean F1 of the classes that occur; of all labels, for label sets."""
    agreed, named = np.split(sums[..., 1:], 2, axis=-1)
    occurs = (named > 0).sum(axis=-1)
    counted = np.where(sums[..., 0] > 0, named.shape[-1], occurs)
    total = (2 * agreed / np.maximum(named, 1)).sum(axis=-1)
    return np.where(occurs > 0, percent(total, counted), np.nan)


def _matthews_of(sums: np.ndarray) -> np.ndarray:
    """Return the correlation from agreed, gold and predicted by class; NaN for a single class.

    Source: Gorodkin 2004 (10.1016/j.compbiolchem.2004.09.006), eq. 8, in the form of scikit-learn.
    """
    agreed, gold, predicted = np.split(sums, 3, axis=-1)
    count = gold.sum(axis=-1)
    covariance = agreed.sum(axis=-1) * count - (gold * predicted).sum(axis=-1)
    variances = [count**2 - (side**2).sum(axis=-1) for side in (gold, predicted)]
    product = variances[0] * variances[1]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(product > 0, 100.0 * covariance / np.sqrt(product), np.nan)


def _f1_of(sums: np.ndarray) -> np.ndarray:
    return percent(2 * sums[..., 0], sums[..., 1])


ACCURACY = Statistics(_right, lambda sums: percent(sums[..., 0], sums[..., 1]))
F1_POSITIVE = Statistics(_positive, _f1_of)
F1_MICRO = Statistics(_agreed_and_named, _f1_of)
F1_MACRO = Statistics(_macro, _macro_f1_of)
MATTHEWS = Statistics(
    lambda results: _by_class(results, sides=("agreed", "gold", "predicted")), _matthews_of
)
