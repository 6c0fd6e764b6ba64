"""Metric, and Results, the input of a metric."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from data_utils.errors import UserError
from data_utils.metrics.statistics import Statistics
from data_utils.task_def import TaskDef

if TYPE_CHECKING:  # outcome.py reads the registry of metrics
    from data_utils.metrics.outcome import Outcome


class Undefined(Exception):
    """Raised if a metric is undefined for the data; the message names the data."""


@dataclass(frozen=True)
class Results:
    """Gold labels and predictions of one data set, one entry per example.

    An entry of ``gold`` and ``predicted`` is a class id, a number, a list of ids (one for each
    candidate or word of the example), or a set of ids (multi-label). For answers, ``predicted`` has a
    text and ``gold`` the list of accepted texts.
    """

    gold: Sequence[Any]
    predicted: Sequence[Any]
    scores: Sequence[Any] | None = None
    """Probabilities: one for each class, or a single number; a list of these if the entry is a list."""
    labels: Sequence[str] = ()
    """Label words; the position of a word is its id."""
    uids: Sequence[str] = ()
    """Ids of the examples."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of the task."""
    confidence: Sequence[Any] | None = None
    """Probability of each prediction, or of each decision of a list or set, as the task type gives it;
    None: not known."""

    def classes(self) -> tuple[np.ndarray, np.ndarray]:
        """Return gold and predicted class ids as arrays.

        Returns:
            Two arrays (M,), in which lists are concatenated; for sets, two 0/1 indicators (N, C).

        Raises:
            Undefined: there are no examples.
            UserError: the entries are not class ids.
            ValueError: the numbers of gold labels and predictions of an example differ.
        """
        if self.has_sets:
            size = self.class_count
            return _indicator(self.gold, size), _indicator(self.predicted, size)
        return self._arrays("biu", "class ids")

    def numbers(self) -> tuple[np.ndarray, np.ndarray]:
        """Return gold and predicted numbers as arrays (M,), in which lists are concatenated.

        Raises:
            Undefined: there are no examples, or a value is not finite.
            UserError: the entries are not numbers.
            ValueError: the numbers of gold labels and predictions of an example differ.
        """
        gold, predicted = self._arrays("biuf", "numbers")
        if not (np.isfinite(gold).all() and np.isfinite(predicted).all()):
            raise Undefined("numbers that are not finite")
        return gold.astype(float), predicted.astype(float)

    def probabilities(self) -> np.ndarray:
        """Return ``scores`` as an array aligned with :meth:`classes`.

        Returns:
            (M, C) with one probability for each class, or (M,) with a single number; (N, C) for sets.
            If examples have different numbers of choices, missing choices have probability 0.

        Raises:
            Undefined: there are no examples, or a score is not finite.
            UserError: the shape does not match the labels.
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
        """Number of classes: the maximum over label words, widths of scores, and ids that occur."""
        widths = (len(row) for row in self._flat_scores() if _is_list(row))
        sides = [*self.gold, *self.predicted]
        ids = _flat([list(entry) if _is_set(entry) else entry for entry in sides])
        return max(len(self.labels), max(widths, default=0), 1 + max(ids, default=-1))

    @property
    def has_sets(self) -> bool:
        """Whether the labels are sets of ids."""
        return any(_is_set(entry) for entry in self.gold)

    def owners(self) -> np.ndarray:
        """Return the example that each decision belongs to: (M,), aligned with :meth:`classes`."""
        sizes = [len(entry) if _is_list(entry) else 1 for entry in self.gold]
        return np.repeat(np.arange(len(sizes)), sizes)

    def check_lengths(self) -> None:
        """Check that every example has as many gold labels as predictions.

        Raises:
            ValueError: the numbers differ for an example.
        """
        for place, pair in enumerate(zip(self.gold, self.predicted, strict=True)):
            gold, predicted = (len(side) if _is_list(side) else 1 for side in pair)
            if gold != predicted:
                raise ValueError(f"example {place}: {gold} gold labels for {predicted} predictions")

    def _arrays(self, kinds: str, what: str) -> tuple[np.ndarray, np.ndarray]:
        """Return gold and predicted values as flat arrays of one of the dtype ``kinds``."""
        gold, predicted = (np.asarray(_flat(side)) for side in (self.gold, self.predicted))
        if not len(gold):
            raise Undefined("no examples")
        for side in (gold, predicted):
            if len(side) and side.dtype.kind not in kinds:
                raise UserError(f"it compares {what}, not {side.tolist()[0]!r}")
        self.check_lengths()
        return gold, predicted

    def _flat_scores(self) -> list[Any]:
        """Return scores concatenated in the same way as the labels."""
        scores = [] if self.scores is None else list(self.scores)
        return _flat(scores) if any(map(_is_list, self.gold)) else scores


def _is_list(entry: Any) -> bool:
    return isinstance(entry, (list, tuple, np.ndarray))


def _is_set(entry: Any) -> bool:
    return isinstance(entry, (set, frozenset))


def _flat(entries: Sequence[Any]) -> list[Any]:
    """Concatenate the entries that are lists; keep other entries."""
    return [item for entry in entries for item in (entry if _is_list(entry) else [entry])]


def _indicator(sets: Sequence[set[int]], size: int) -> np.ndarray:
    """Return sets of ids as 0/1 indicators (N, size)."""
    indicator = np.zeros((len(sets), size), dtype=int)
    for row, ids in enumerate(sets):
        indicator[row, list(ids)] = 1
    return indicator


Function = Callable[[Results], Any]


@dataclass(frozen=True)
class Metric:
    """A metric of a whole data set; call it to compute the score."""

    function: Function
    """Computes the score; raises :class:`Undefined` if it is undefined for the data."""
    name: str = "this"
    """Name in the registry, for messages."""
    needs: tuple[str, ...] = ()
    """Fields of Results that it needs besides gold and predicted: scores, labels, uids."""
    greater_is_better: bool = True
    """Whether a greater score is better, for selecting the best model."""
    is_number: bool = True
    """False for a confusion matrix, which cannot select a model."""
    undefined: Any = 0.0
    """Value that is reported, with a warning, if the score is undefined for the data."""
    fits: tuple[Outcome, ...] = ()
    """What it measures; empty: the predictions of every task. A task that predicts something else is
    refused when its task file is read."""
    check: Callable[[TaskDef], None] | None = None
    """Raises UserError for a task that it cannot measure for another reason, such as its labels."""
    constant: float | None = None
    """Score of a constant prediction, for metrics that are undefined for it."""
    statistics: Statistics | None = None
    """Sums from which the score follows, for confidence intervals; None: it has no interval."""

    def has_scores(self, results: Results) -> bool:
        """Whether the results have scores, if the metric needs them."""
        return results.scores is not None or "scores" not in self.needs

    def __call__(
        self,
        gold: Sequence[Any],
        predicted: Sequence[Any],
        scores: Sequence[Any] | None = None,
        *,
        labels: Sequence[str] = (),
        uids: Sequence[str] = (),
        options: Mapping[str, Any] | None = None,
        confidence: Sequence[Any] | None = None,
    ) -> Any:
        """Compute the score. The arguments are the fields of :class:`Results`.

        Raises:
            UserError: a needed argument is missing, or the labels are of another kind than needed.
            ValueError: the numbers of gold labels, predictions, scores and uids differ.
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
                raise UserError(f"metric {self.name} needs {name}, but the task has none")
            if name != "labels" and len(values) not in (0, len(gold)):
                raise ValueError(f"{len(values)} {name} for {len(gold)} gold labels")
        results = Results(gold, predicted, scores, labels, uids, options or {}, confidence)
        try:
            return self.score(results)
        except Undefined as case:
            value = f"{self.undefined:g}" if self.is_number else "empty"
            warnings.warn(f"{self.name} of {case} is undefined; reported as {value}", stacklevel=2)
            return self.undefined

    def score(self, results: Results) -> Any:
        """Compute the score, without a value in place of an undefined one.

        Raises:
            Undefined: the score is undefined for the data.
            UserError: the labels are of another kind than needed.
        """
        try:
            found = self.function(results)
        except UserError as error:
            raise UserError(f"metric {self.name} does not fit the task: {error}") from None
        if isinstance(found, float) and math.isnan(found):
            raise Undefined("these predictions")
        is_number = isinstance(found, (int, float, np.number)) and not isinstance(found, bool)
        if self.is_number and not is_number:
            raise UserError(
                f"metric {self.name} returned {found!r:.60}, and not a number; a metric of another kind "
                f"declares @metric(is_number=False)"
            )
        return found


DECLARED = "_declared_metric_fields"


def metric(**declared: Any) -> Callable[[Function], Function]:
    """Declare fields of :class:`Metric` for the decorated function, where defaults do not fit.

    Args:
        declared: fields of Metric: ``needs``, ``fits``, ``check``, ``greater_is_better``, ``is_number``,
            ``undefined``, ``constant`` or ``statistics``.

    Example::

        @METRICS.register("log_loss")
        @metric(needs=("scores",), fits=(Outcome.BINARY,), greater_is_better=False)
        def log_loss(results: Results) -> float: ...
    """

    def decorate(function: Function) -> Function:
        setattr(function, DECLARED, declared)
        return function

    return decorate


def create_metric(name: str, function: Function) -> Metric:
    """Return the metric that a registered function computes."""
    if not inspect.isfunction(function):
        raise TypeError(f"metric {name!r}: {function!r} is not a function of Results")
    return Metric(function, name, **getattr(function, DECLARED, {}))
