"""What a metric is, and the results that it looks at."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from data_utils.errors import UserError
from data_utils.registry import Registry


class Undefined(Exception):
    """Raised by a metric that the data leave undefined; the message says of what it is undefined."""


@dataclass(frozen=True)
class Results:
    """Gold labels and predictions of one data set, one entry per example.

    An entry of ``gold`` and ``predicted`` is a class id, a number, a list of ids (one per candidate
    or word, as many as the example has), a set of ids (multi-label), or, for answers, a predicted
    text beside the list of texts that are right.
    """

    gold: Sequence[Any]
    predicted: Sequence[Any]
    scores: Sequence[Any] | None = None
    """Probabilities: of each class, or one number; a list of these where the entry is a list."""
    labels: Sequence[str] = ()
    """Label words; the position is the id."""
    uids: Sequence[str] = ()

    def classes(self) -> tuple[np.ndarray, np.ndarray]:
        """Gold and predicted ids (M,), lists laid end to end; sets as 0/1 indicators (N, C).

        Raises:
            Undefined: nothing to compare.
            UserError: entries that are not ids.
        """
        if self.has_sets:
            size = self.class_count
            return _indicator(self.gold, size), _indicator(self.predicted, size)
        return self._arrays("biu", "class ids")

    def numbers(self) -> tuple[np.ndarray, np.ndarray]:
        """Gold and predicted numbers (M,), lists laid end to end.

        Raises:
            Undefined: nothing to compare, or a value that is not finite.
            UserError: entries that are not numbers.
        """
        gold, predicted = self._arrays("biuf", "numbers")
        if not (np.isfinite(gold).all() and np.isfinite(predicted).all()):
            raise Undefined("numbers that are not finite")
        return gold.astype(float), predicted.astype(float)

    def probabilities(self) -> np.ndarray:
        """Beside :meth:`classes`: of each class (M, C) or one number (M,); of sets (N, C).

        Where examples have different numbers of choices, those that are absent have 0.

        Raises:
            Undefined: nothing to compare, or a score that is not finite.
            UserError: scores of another shape.
        """
        gold, _ = self.classes()
        rows = self._flat_scores()
        if all(map(_is_list, rows)):
            width = max(map(len, rows), default=0)
            rows = [[*row, *[0.0] * (width - len(row))] for row in rows]
        scores = np.asarray(rows, dtype=float)
        if len(scores) != len(gold) or (self.has_sets and scores.shape != gold.shape):
            raise UserError(f"scores of shape {scores.shape} for labels of shape {gold.shape}")
        if not np.isfinite(scores).all():
            raise Undefined("scores that are not finite")
        return scores

    @property
    def class_count(self) -> int:
        """What the label words, the scores and the ids that occur have room for."""
        widths = (len(row) for row in self._flat_scores() if _is_list(row))
        sides = [*self.gold, *self.predicted]
        ids = _flat([list(entry) if _is_set(entry) else entry for entry in sides])
        return max(len(self.labels), max(widths, default=0), 1 + max(ids, default=-1))

    @property
    def has_sets(self) -> bool:
        return any(_is_set(entry) for entry in self.gold)

    def check_lengths(self) -> None:
        """An example's gold labels and predictions are equally many.

        Raises:
            ValueError: they are not.
        """
        for place, pair in enumerate(zip(self.gold, self.predicted, strict=True)):
            gold, predicted = (len(side) if _is_list(side) else 1 for side in pair)
            if gold != predicted:
                raise ValueError(f"example {place}: {gold} gold labels for {predicted} predictions")

    def _arrays(self, kinds: str, what: str) -> tuple[np.ndarray, np.ndarray]:
        gold, predicted = (np.asarray(_flat(side)) for side in (self.gold, self.predicted))
        if not len(gold):
            raise Undefined("no examples")
        for side in (gold, predicted):
            if len(side) and side.dtype.kind not in kinds:
                raise UserError(f"it compares {what}, not {side.tolist()[0]!r}")
        self.check_lengths()
        return gold, predicted

    def _flat_scores(self) -> list[Any]:
        """Laid end to end as the labels are."""
        scores = [] if self.scores is None else list(self.scores)
        return _flat(scores) if any(map(_is_list, self.gold)) else scores


def _is_list(entry: Any) -> bool:
    return isinstance(entry, (list, tuple, np.ndarray))


def _is_set(entry: Any) -> bool:
    return isinstance(entry, (set, frozenset))


def _flat(entries: Sequence[Any]) -> list[Any]:
    """Lists laid end to end, other entries as they are."""
    return [item for entry in entries for item in (entry if _is_list(entry) else [entry])]


def _indicator(sets: Sequence[set[int]], size: int) -> np.ndarray:
    indicator = np.zeros((len(sets), size), dtype=int)
    for row, ids in enumerate(sets):
        indicator[row, list(ids)] = 1
    return indicator


Function = Callable[[Results], Any]


@dataclass(frozen=True)
class Metric:
    """One score of a whole data set."""

    function: Function
    """Raises :class:`Undefined` where the data leave the score so."""
    name: str = "this"
    needs: tuple[str, ...] = ()
    """What it looks at besides gold and predicted, of: scores, labels, uids."""
    greater_is_better: bool = True
    is_number: bool = True
    """False for a confusion matrix, which cannot select a model."""
    undefined: Any = 0.0
    """Reported, with a warning, where the data leave the score undefined."""
    constant: float | None = None
    """Score of a constant guess, where the function alone leaves it undefined."""

    def __call__(
        self,
        gold: Sequence[Any],
        predicted: Sequence[Any],
        scores: Sequence[Any] | None = None,
        *,
        labels: Sequence[str] = (),
        uids: Sequence[str] = (),
    ) -> Any:
        """The score; entries as in :class:`Results`.

        Raises:
            UserError: the task has not what the metric needs, or labels of another kind.
            ValueError: gold labels, predictions, scores and uids differ in number.
        """
        if len(gold) != len(predicted):
            raise ValueError(f"{len(gold)} gold labels for {len(predicted)} predictions")
        given: dict[str, Sequence[Any]] = {
            "scores": () if scores is None else scores,
            "labels": labels,
            "uids": uids,
        }
        for name, values in given.items():
            if name in self.needs and len(gold) and not len(values):
                raise UserError(f"metric {self.name} needs {name}, and the task has none")
            if name != "labels" and len(values) not in (0, len(gold)):
                raise ValueError(f"{len(values)} {name} for {len(gold)} gold labels")
        try:
            return self.function(Results(gold, predicted, scores, labels, uids))
        except Undefined as case:
            value = f"{self.undefined:g}" if self.is_number else "empty"
            warnings.warn(f"{self.name} of {case} is undefined; reported as {value}", stacklevel=2)
            return self.undefined
        except UserError as error:
            raise UserError(f"metric {self.name} does not fit the task: {error}") from None


METRICS: Registry[Metric] = Registry("metric")


def metric(name: str, *aliases: str, **declared: Any) -> Callable[[Function], Function]:
    """Decorator: file a function under ``name``, with the other fields of its :class:`Metric`."""

    def decorate(function: Function) -> Function:
        METRICS.register(name, *aliases)(Metric(function, name, **declared))
        return function

    return decorate
