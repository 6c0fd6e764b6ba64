"""scores.json of a run, read into checked values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_utils import strict_json
from data_utils.errors import UserError
from data_utils.utf8 import not_utf8

MISSING = math.nan
"""A number that the file has as null, because it was NaN or infinite."""
MOST = 1e15
"""Greatest count or update; beyond it a float has no whole numbers."""


@dataclass(frozen=True)
class ClassScores:
    """Scores of one class, label or entity type, in percent."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int
    """Number of gold examples (or entities) of the class."""


@dataclass(frozen=True)
class Confusion:
    """Counts by gold label (rows) and predicted label (columns)."""

    labels: list[str]
    counts: list[list[int]]


@dataclass(frozen=True)
class Bin:
    """One reliability bin: predictions whose confidence is between ``low`` and ``high`` (0 to 1)."""

    low: float
    high: float
    count: int
    confidence: float
    """Mean confidence in percent."""
    accuracy: float
    """Share of correct predictions in percent."""


@dataclass(frozen=True)
class Range:
    """Errors of a regression where the gold value is between ``low`` and ``high``."""

    low: float
    high: float
    count: int
    bias: float
    mae: float
    rmse: float


@dataclass(frozen=True)
class Details:
    """What is known of the predictions on one data set beyond their scores. Each part may be missing."""

    examples: int | None = None
    outcome: str | None = None
    """Name of what the task predicts, an :class:`~data_utils.metrics.outcome.Outcome`."""
    kind: str = "class"
    """What ``classes`` are: class, label or entity."""
    classes: list[ClassScores] = field(default_factory=list)
    confusion: Confusion | None = None
    bins: list[Bin] = field(default_factory=list)
    ece: float = MISSING
    ranges: list[Range] = field(default_factory=list)
    answers: dict[str, dict[str, float]] = field(default_factory=dict)
    """``with`` and ``without`` an answer: examples, and metric -> value."""


@dataclass(frozen=True)
class ScoreFile:
    """Scores of the best model of a run. Only ``scores`` and ``baselines`` are in files of older versions."""

    step: int
    average: float
    scores: dict[str, dict[str, float]]
    """Data set -> metric -> value, for metrics that are numbers."""
    baselines: dict[str, dict[str, float]]
    intervals: dict[str, dict[str, tuple[float, float]]]
    test: list[str]
    selected_on: list[str]
    losses: dict[str, float]
    details: dict[str, Details]


def read_scores(path: Path) -> ScoreFile | None:
    """Read scores.json; None if there is none, as in a run that has not finished.

    Raises:
        UserError: the file is damaged.
    """
    if not path.exists():
        return None
    try:
        return _score_file(strict_json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise not_utf8(path) from None
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
        what = f"key {error} is missing" if isinstance(error, KeyError) else str(error)
        raise UserError(
            f"{path} is damaged: {what:.200}. Restore the file, or move it away: a report then leaves out the "
            f"sections made from it"
        ) from None


def _score_file(values: Mapping[str, Any]) -> ScoreFile:
    return ScoreFile(
        step=whole(values["step"]),
        average=number(values["average"]),
        scores={name: _numbers(scores) for name, scores in values["scores"].items()},
        baselines={name: _numbers(scores) for name, scores in values["baselines"].items()},
        intervals={
            name: {metric: _pair(ends) for metric, ends in intervals.items()}
            for name, intervals in values.get("intervals", {}).items()
        },
        test=[str(name) for name in values.get("test", ())],
        selected_on=[str(name) for name in values.get("selected_on", ())],
        losses=_numbers(values.get("losses", {})),
        details={name: details_of(part) for name, part in values.get("details", {}).items()},
    )


def number(value: Any) -> float:
    """Return a JSON number as a float, and null as NaN.

    Raises:
        TypeError: it is neither.
    """
    if value is None:
        return MISSING
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{value!r:.60} is not a number")
    return float(value)


def whole(value: Any) -> int:
    """Return a JSON number as a count or an update.

    Raises:
        TypeError, ValueError: it is no number, or outside of 0 .. MOST.
    """
    if not 0 <= number(value) <= MOST:
        raise ValueError(f"{value!r:.60} is not a count")
    return int(value)


def _numbers(scores: Mapping[str, Any]) -> dict[str, float]:
    """The values that are numbers. Some metrics are none, such as a confusion matrix."""
    kinds = (int, float, type(None))
    return {str(k): number(v) for k, v in scores.items() if isinstance(v, kinds)}


def _pair(ends: Any) -> tuple[float, float]:
    low, high = ends
    return number(low), number(high)


def details_of(values: Mapping[str, Any]) -> Details:
    """Return the details of a data set as scores.json has them, checked.

    Raises:
        ValueError, TypeError, LookupError, AttributeError, OverflowError: they have another form.
    """
    classes = values.get("classes", {})
    calibration = values.get("calibration", {})
    examples = values.get("examples")
    return Details(
        examples=None if examples is None else whole(examples),
        outcome=None if (outcome := values.get("outcome")) is None else str(outcome),
        kind=str(classes.get("kind", "class")),
        classes=[
            ClassScores(
                name=str(row["name"]),
                precision=number(row["precision"]),
                recall=number(row["recall"]),
                f1=number(row["f1"]),
                support=whole(row["support"]),
            )
            for row in classes.get("rows", ())
        ],
        confusion=_confusion(values["confusion"]) if "confusion" in values else None,
        bins=[
            Bin(
                *_pair((row["low"], row["high"])),
                count=whole(row["count"]),
                confidence=number(row["confidence"]),
                accuracy=number(row["accuracy"]),
            )
            for row in calibration.get("bins", ())
        ],
        ece=number(calibration.get("ece")),
        ranges=[
            Range(
                *_pair((row["low"], row["high"])),
                count=whole(row["count"]),
                bias=number(row["bias"]),
                mae=number(row["mae"]),
                rmse=number(row["rmse"]),
            )
            for row in values.get("ranges", ())
        ],
        answers={str(kind): _numbers(part) for kind, part in values.get("answers", {}).items()},
    )


def _confusion(values: Mapping[str, Any]) -> Confusion:
    labels = [str(label) for label in values["labels"]]
    counts = [[whole(count) for count in row] for row in values["counts"]]
    if len(counts) != len(labels) or any(len(row) != len(labels) for row in counts):
        raise ValueError(
            f"confusion has {len(labels)} labels, but its counts are not as many squared"
        )
    return Confusion(labels, counts)
