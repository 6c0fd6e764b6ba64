"""Precision, recall, F1 and support per class, per label of sets, and per entity type; confusion counts."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from data_utils.errors import UserError
from data_utils.metrics.base import Results
from data_utils.metrics.entities import sentence_entities
from data_utils.metrics.tag_scheme import DETECTED, tag_scheme

UNTYPED = "entity"
"""Name of the type of labels without one, such as ``B`` and ``I``."""
OTHER = "(other text)"
"""Name of the class of generated texts that are no label."""


def class_rows(results: Results) -> dict[str, Any]:
    """Return the rows of all classes, as scikit-learn computes them.

    Rows are decisions: examples, candidates or words. A score whose denominator is 0 is 0. For sets,
    each label is a decision of its own.

    Returns:
        ``kind``, which is ``class``, or ``label`` for sets; ``rows``, see :func:`_row`.
    """
    from sklearn.metrics import precision_recall_fscore_support

    gold, predicted = results.classes()
    names = class_names(results)
    labels = None if results.has_sets else range(len(names))
    scores = precision_recall_fscore_support(gold, predicted, labels=labels, zero_division=0)
    rows = [
        _row(name, float(precision), float(recall), float(f1), int(support))
        for name, precision, recall, f1, support in zip(names, *scores, strict=True)
        if name != OTHER
    ]
    return {"kind": "label" if results.has_sets else "class", "rows": rows}


def word_rows(results: Results) -> dict[str, Any]:
    """Return the rows of all entity types, or of all classes of words if labels mark no entities.

    An entity is right if its type, first and last word are right, as in the metric SeqEval. Labels such
    as those of parts of speech have no tags like ``B-``. They mark entities only if the option
    ``tag_scheme`` of the task is ``none``.

    Returns:
        ``kind``, which is ``entity`` or ``class``; ``rows``, see :func:`_row`.
    """
    named = results.options.get("tag_scheme", DETECTED)
    try:
        if named == DETECTED and tag_scheme(results.labels) == "none":
            return class_rows(results)
        sentences = sentence_entities(results)
    except UserError:  # the labels fit no scheme
        return class_rows(results)
    gold, predicted, agreed = (Counter[str]() for _ in range(3))
    for own, guess in sentences:
        gold.update(kind for kind, *_ in own)
        predicted.update(kind for kind, *_ in guess)
        agreed.update(kind for kind, *_ in own & guess)
    rows = [
        _row(
            kind or UNTYPED,
            agreed[kind] / max(predicted[kind], 1),
            agreed[kind] / max(gold[kind], 1),
            2 * agreed[kind] / (gold[kind] + predicted[kind]),
            gold[kind],
        )
        for kind in sorted(gold | predicted)
    ]
    return {"kind": "entity", "rows": rows}


def confusion(results: Results) -> dict[str, Any]:
    """Return the names of the classes, and counts of decisions: rows gold, columns predicted."""
    gold, predicted = results.classes()
    names = class_names(results)
    counts = np.zeros((len(names), len(names)), dtype=int)
    np.add.at(counts, (gold.astype(int), predicted.astype(int)), 1)
    return {"labels": names, "counts": counts.tolist()}


def class_names(results: Results) -> list[str]:
    """Return the names of all classes: label words, or ids without them."""
    count = results.class_count
    if not results.labels:
        return [str(i) for i in range(count)]
    return [*results.labels, *[OTHER] * (count - len(results.labels))]


def _row(name: str, precision: float, recall: float, f1: float, support: int) -> dict[str, Any]:
    """Return one row: the scores in percent, and the number of gold decisions or entities."""
    scores = {"precision": 100.0 * precision, "recall": 100.0 * recall, "f1": 100.0 * f1}
    return {"name": name} | scores | {"support": support}
