"""Guess the kind of a task from its labels: data format, task type, labels and metrics."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from data_utils.errors import UserError
from data_utils.registry import choices_hint
from data_utils.task_def import NUMBER
from mt_dnn.new_task.decision import Decision
from mt_dnn.new_task.render import scalar
from mt_dnn.new_task.roles import Roles
from mt_dnn.new_task.rows_file import RowsFile

MANY_NUMBERS = 10
"""Whole numbers with more values than this are taken for a quantity, and not for classes."""
SCALES = ("score", "rating", "stars", "similarity", "grade", "age", "year")
"""Names of columns whose whole numbers may be a quantity also with few values."""
IMBALANCE = 3.0
"""From this ratio of the most to the least frequent class on, macro F1 selects the model."""
LISTED = 100
"""Greatest number of labels that are listed; more are ``auto``."""


@dataclass(frozen=True)
class Kind:
    """The kind of a task, and counts of its labels."""

    data_format: Decision
    task_type: Decision
    labels: Decision | None
    """A list of label words or ``auto``; None for numbers."""
    metrics: Decision
    counts: Counter[str]
    """Label -> rows, or words; empty for numbers."""
    numbers: tuple[float, ...] = ()
    """The labels of a regression."""

    @property
    def name(self) -> str:
        return str(self.task_type.value)


def find_kind(file: RowsFile, roles: Roles) -> Kind:
    """Guess the kind of the task from the train file.

    Raises:
        UserError: the labels are neither numbers, nor classes, nor sets of classes, nor one per word.
    """
    values = file.values(roles.label)
    first = file.values(roles.texts[0])
    if all(isinstance(text, list) for text in first):
        return _words(first, values, file, roles)
    one = len(roles.texts) == 1
    data_format = Decision(
        "PremiseOnly" if one else "PremiseAndOneHypothesis",
        f"{'one text' if one else 'two texts'} in each row",
        unsure=roles.why_texts.unsure,
    )
    labelled = [value for value in values if is_label(value)]
    if not labelled:
        raise UserError(
            f"{file.path}: column {roles.label!r} is empty; name the label with --label"
        )
    if all(isinstance(value, list) for value in labelled):
        return _sets(data_format, [list(map(str, value)) for value in labelled], unsure=False)
    if any(isinstance(value, (list, dict)) for value in labelled):
        raise UserError(f"{file.path}: column {roles.label!r} holds lists in some rows only")
    texts = [str(value).strip() for value in labelled]
    counts = Counter(texts)
    if len(counts) < 2:
        raise UserError(
            f"{file.path}: all labels of column {roles.label!r} are {texts[0]!r:.60}; a task needs at least two"
        )
    if all(NUMBER.fullmatch(text) for text in texts):
        return _numbers(data_format, texts, counts, roles.label)
    parts = Counter(part.strip() for text in texts for part in text.split(","))
    if any("," in text for text in texts) and len(parts) < len(counts):
        return _sets(data_format, [text.split(",") for text in texts], unsure=True)
    if len(counts) > max(20, len(texts) // 2):
        raise UserError(
            f"{file.path}: column {roles.label!r} has {len(counts)} values in {len(texts)} rows: these are "
            f"no classes. Name the label with --label"
        )
    return _classes(data_format, counts, unsure=roles.why_label.unsure, scale=False)


def is_label(value: Any) -> bool:
    """Whether a cell holds a label; ``-`` marks rows without a gold label."""
    return isinstance(value, list) or str(value).strip() not in ("", "-")


def check_labels(file: RowsFile, column: str, kind: Kind) -> None:
    """Check that another file has no label that the train file lacks.

    Raises:
        UserError: it has one; the message has file and line.
    """
    if not kind.counts or column not in file.columns:
        return
    for value, where in zip(file.values(column), file.places, strict=True):
        if kind.name == "MultiLabel" and isinstance(value, str):
            value = [part.strip() for part in value.split(",") if part.strip()]
        for label in value if isinstance(value, list) else [value] if is_label(value) else []:
            if str(label).strip() not in kind.counts:
                raise UserError(
                    f"{where}: label {str(label)!r:.60} does not occur in the rows to train on."
                    f"{choices_hint(str(label), list(kind.counts))} Remove the row, or add such rows to train"
                )


def _numbers(data_format: Decision, texts: list[str], counts: Counter[str], column: str) -> Kind:
    """Return the kind of labels that are numbers: a quantity, or classes."""
    numbers = tuple(float(text) for text in texts)
    whole = all(re.fullmatch(r"[+-]?\d+", text) for text in texts)
    scale = any(word in column.lower() for word in SCALES)
    low, high = min(numbers), max(numbers)
    if whole and (len(counts) <= 2 or (len(counts) <= MANY_NUMBERS and not scale)):
        return _classes(data_format, counts, unsure=len(counts) > 2, scale=len(counts) > 2)
    what = "whole numbers" if whole else "numbers"
    return Kind(
        data_format,
        Decision(
            "Regression",
            f"the labels are {what} from {low:g} to {high:g}, {len(counts)} values",
            unsure=whole,
            alternatives=(
                "task_type: Classification    # with `labels: auto` and metric_meta [ACC]",
            )
            if whole
            else (),
        ),
        None,
        Decision(["Pearson", "Spearman"], "correlation with the gold numbers; the first selects"),
        Counter(),
        numbers,
    )


def _classes(data_format: Decision, counts: Counter[str], *, unsure: bool, scale: bool) -> Kind:
    (most, top), *_, (least, low) = counts.most_common()
    share = 100 * top / counts.total()
    if top / low >= IMBALANCE:
        metrics = Decision(
            ["F1MAC", "ACC", "MCC"],
            f"imbalanced: {top} rows are {most!r}, {low} are {least!r}; macro F1 counts the classes equally, "
            f"ACC of the most frequent class is {share:.0f}",
            alternatives=(
                "metric_meta: [ACC, F1MAC]    # if only the share of correct rows matters",
                f"options: {{class_weights: {{{scalar(least)}: {min(top / low, 10):.1f}}}}}    # more "
                f"weight for the rarest label",
            ),
        )
    else:
        metrics = Decision(
            ["ACC", "F1MAC"],
            f"balanced: {top} rows are {most!r}, {low} are {least!r}; ACC of the most frequent class is "
            f"{share:.0f}",
        )
    number = (
        "task_type: Regression    # a quantity: with n_class: 1, metric_meta [Pearson], no labels",
    )
    return Kind(
        data_format,
        Decision(
            "Classification",
            f"one of {len(counts)} labels in each row"
            + ("; they are whole numbers" if scale else ""),
            unsure=unsure,
            alternatives=number if scale else (),
        ),
        _list(counts),
        metrics,
        counts,
    )


def _sets(data_format: Decision, sets: list[list[str]], *, unsure: bool) -> Kind:
    counts = Counter(part.strip() for labels in sets for part in labels if part.strip())
    mean = counts.total() / len(sets)
    return Kind(
        data_format,
        Decision(
            "MultiLabel",
            f"{mean:.1f} of {len(counts)} labels in each row"
            + (", separated by commas" if unsure else ""),
            unsure=unsure,
            alternatives=(
                "task_type: Classification    # with `labels: auto`: each cell is one label",
            )
            if unsure
            else (),
        ),
        _list(counts),
        Decision(["F1MIC", "F1MAC"], "over all labels; F1MAC counts rare labels equally"),
        counts,
    )


def _words(words: list[list], values: list[Any], file: RowsFile, roles: Roles) -> Kind:
    """Return the kind of rows with one label per word."""
    tags: Counter[str] = Counter()
    for tokens, labels, where in zip(words, values, file.places, strict=True):
        if not isinstance(labels, list) or len(labels) != len(tokens):
            raise UserError(
                f"{where}: column {roles.texts[0]!r} is a list of {len(tokens)} words, so column "
                f"{roles.label!r} must be a list of as many labels"
            )
        tags.update(map(str, labels))
    entities = "O" in tags and all(re.match(r"O$|[A-Z]-", tag) for tag in tags)
    return Kind(
        Decision("Sequence", "a list of words in each row"),
        Decision("SequenceLabeling", f"one of {len(tags)} labels for each word"),
        _list(tags),
        Decision(["SeqEval"], "F1 of whole entities; the labels mark them, as B-PER and I-PER do")
        if entities
        else Decision(["ACC", "F1MAC"], "the labels mark no entities; ACC over words"),
        tags,
    )


def _list(counts: Counter[str]) -> Decision:
    labels = sorted(counts, key=int if all(re.fullmatch(r"-?\d+", one) for one in counts) else str)
    if len(labels) > LISTED:
        return Decision("auto", f"all {len(labels)} labels of the train file")
    return Decision(labels, "all labels of the train file; the position is the class id")
