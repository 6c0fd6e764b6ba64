"""Details of the predictions on a data set: classes, confusion, calibration, errors by range, mistakes."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mt_dnn.reports.charts import Dot, short
from mt_dnn.reports.run_record import Mistake, RunRecord
from mt_dnn.reports.score_file import Bin, ClassScores, Confusion, Details

MOST_LABELS = 20
"""Rows and columns of a confusion matrix; the other labels are grouped."""
MOST_CLASSES = 20
"""Classes that are shown; the others are folded."""
MOST_MISTAKES = {"confident": 15, "uncertain": 10}
"""Mistakes of each kind that are shown."""
MOST_CHARACTERS = 600
"""Longer texts are cut."""
SIDE = 200
"""Width and height of a reliability diagram."""


@dataclass(frozen=True)
class ConfusionCell:
    """A count, and its share of the gold label."""

    count: int
    share: float


@dataclass(frozen=True)
class ConfusionView:
    """A confusion matrix that fits on a page."""

    labels: list[str]
    rows: list[list[ConfusionCell]]
    grouped: int
    """Number of labels that the last row and column stand for; 0 if each has its own."""
    absent: int
    """Number of labels that are left out because they are neither gold nor predicted."""


@dataclass(frozen=True)
class CalibrationView:
    """A reliability diagram."""

    dots: list[tuple[Dot, float]]
    """A point for each bin, at its mean confidence and accuracy, and its radius."""
    ece: float
    bias: float
    """Mean confidence minus accuracy, in percentage points; above 0 the model is overconfident."""
    side = SIDE


@dataclass(frozen=True)
class MistakeView:
    """A mistake to read."""

    uid: str
    text: list[tuple[str, str]]
    """Column and text."""
    gold: str
    prediction: str
    changes: list[tuple[str, str, str]]
    """Word, gold and predicted label of each wrong word, where the task labels words."""
    confidence: str


@dataclass(frozen=True)
class MistakeGroup:
    """Mistakes of one kind."""

    kind: str
    """confident or uncertain."""
    title: str
    shown: list[MistakeView]
    total: int
    """Number of all in the file."""


@dataclass(frozen=True)
class DatasetView:
    """All details of one data set. Parts without data are empty or None."""

    name: str
    examples: int | None
    kind: str
    classes: list[ClassScores]
    folded_classes: list[ClassScores]
    confusion: ConfusionView | None
    calibration: CalibrationView | None
    details: Details
    largest_error: float
    """Greatest mean absolute error of the ranges, the full length of a bar."""
    answers: list[tuple[str, dict[str, float]]]
    mistakes: list[MistakeGroup]


def dataset_views(run: RunRecord) -> list[DatasetView]:
    """The data sets of a run about which more is known than scores."""
    details = run.scores.details if run.scores else {}
    views = []
    for name in dict.fromkeys([*details, *run.mistakes]):
        own = details.get(name, Details())
        shown, folded = split_classes(own.classes)
        view = DatasetView(
            name=name,
            examples=own.examples,
            kind=own.kind,
            classes=shown,
            folded_classes=folded,
            confusion=confusion_view(own.confusion) if own.confusion else None,
            calibration=calibration_view(own.bins, own.ece),
            details=own,
            largest_error=max((r.mae for r in own.ranges if math.isfinite(r.mae)), default=0.0),
            answers=[
                (kind, own.answers[kind]) for kind in ("with", "without") if kind in own.answers
            ],
            mistakes=mistake_views(run.mistakes.get(name, [])),
        )
        if any((shown, view.confusion, view.calibration, own.ranges, view.answers, view.mistakes)):
            views.append(view)
    return views


def split_classes(
    classes: Sequence[ClassScores],
) -> tuple[list[ClassScores], list[ClassScores]]:
    """All classes in their order; if there are many, those with the lowest F1 and the others."""
    if len(classes) <= MOST_CLASSES:
        return list(classes), []
    ordered = sorted(classes, key=lambda row: (not math.isfinite(row.f1), row.f1, row.name))
    return ordered[:MOST_CLASSES], ordered[MOST_CLASSES:]


def confusion_view(confusion: Confusion) -> ConfusionView | None:
    """The labels that occur; if there are many, those with the most errors and the others as one."""
    counts = confusion.counts
    size = len(confusion.labels)
    total = [sum(counts[i]) + sum(row[i] for row in counts) for i in range(size)]
    present = [i for i in range(size) if total[i]]
    if not present:
        return None
    kept = present
    if len(present) > MOST_LABELS:
        errors = {i: total[i] - 2 * counts[i][i] for i in present}
        worst = sorted(present, key=lambda i: (-errors[i], i))[: MOST_LABELS - 1]
        kept = sorted(worst)
    others = [i for i in present if i not in kept]
    groups = [[i] for i in kept] + ([others] if others else [])
    rows = []
    for gold in groups:
        own = [sum(counts[i][j] for i in gold for j in predicted) for predicted in groups]
        rows.append([ConfusionCell(n, n / sum(own) if sum(own) else 0.0) for n in own])
    labels = [confusion.labels[i] for i in kept]
    return ConfusionView(
        labels=labels + ([f"{len(others)} others"] if others else []),
        rows=rows,
        grouped=len(others),
        absent=size - len(present),
    )


def calibration_view(bins: Sequence[Bin], ece: float) -> CalibrationView | None:
    """The bins that have predictions; None if none has."""
    bins = [b for b in bins if b.count and math.isfinite(b.accuracy + b.confidence)]
    if not bins:
        return None
    total = sum(b.count for b in bins)
    dots = []
    for b in bins:
        note = (
            f"confidence {b.low:.0%} to {b.high:.0%}: {b.count} predictions, mean confidence "
            f"{b.confidence:.1f}, accuracy {b.accuracy:.1f}"
        )
        x, y = (SIDE * value / 100 for value in (b.confidence, 100 - b.accuracy))
        dots.append((Dot(x, y, note), 3 + 9 * math.sqrt(b.count / total)))
    bias = sum(b.count * (b.confidence - b.accuracy) for b in bins) / total
    return CalibrationView(dots, ece, bias)


def mistake_views(mistakes: Sequence[Mistake]) -> list[MistakeGroup]:
    """The first mistakes of each kind, in the order of the file."""
    groups = []
    for kind, most in MOST_MISTAKES.items():
        own = [mistake for mistake in mistakes if mistake.kind == kind]
        if own:
            shown = [_mistake(mistake) for mistake in own[:most]]
            groups.append(MistakeGroup(kind, _title(kind, own[0]), shown, len(own)))
    return groups


def _title(kind: str, first: Mistake) -> str:
    if kind == "uncertain":
        return "Least certain predictions"
    if not math.isnan(first.confidence):
        return "Most confident mistakes"
    return "Largest errors" if isinstance(first.gold, float) else "Mistakes"


def _mistake(mistake: Mistake) -> MistakeView:
    return MistakeView(
        uid=mistake.uid,
        text=[(column, _cut(in_words(text))) for column, text in mistake.text.items()],
        gold=_cut(in_words(mistake.gold)),
        prediction=_cut(in_words(mistake.prediction)),
        changes=_changes(mistake),
        confidence="" if math.isnan(mistake.confidence) else f"{mistake.confidence:.1%}",
    )


def _changes(mistake: Mistake) -> list[tuple[str, str, str]]:
    gold, prediction = mistake.gold, mistake.prediction
    if not (isinstance(gold, list) and isinstance(prediction, list)):
        return []
    for text in mistake.text.values():
        words = text.split() if isinstance(text, str) else text
        if isinstance(words, list) and len(words) == len(gold) == len(prediction):
            triples = zip(words, gold, prediction, strict=True)
            return [(str(w), str(g), str(p)) for w, g, p in triples if g != p]
    return []


def in_words(value: Any) -> str:
    """A text as it is, words with spaces between them, a number in few digits, all else as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return short(value)
    if isinstance(value, list) and all(isinstance(word, (str, int, float)) for word in value):
        return " ".join(map(in_words, value)) if value else "(none)"
    return json.dumps(value, ensure_ascii=False)


def _cut(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]} …"
