"""Challenge sets: files of labelled rows for a task that the run has, scored as a whole and by group."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from data_utils.errors import UserError
from data_utils.formats import Row
from data_utils.inputs import without_label
from data_utils.task_def import TaskDef
from mt_dnn.inference.details.calibration import calibration
from mt_dnn.inference.details.decisions import Decisions
from mt_dnn.inference.predictor import Predictor

LEAST = float(np.finfo(np.float32).tiny)
"""Least probability whose logarithm is taken."""


@dataclass(frozen=True)
class Challenge:
    """The rows of a challenge set for one task."""

    name: str
    task: str
    rows: list[Row]
    """In the columns of the task's data format; their labels are ignored."""
    gold: list[str]
    """The label of each row."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Label of the task -> label of the file; a label that is not in it keeps its name. Several labels of the
    task may be one of the file."""
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Kind of group -> the group of each row, such as ``heuristic``."""


ReadChallenge = Callable[[Path, Mapping[str, TaskDef], str | None], list[Challenge]]
"""``read(path, tasks, task)``: the challenge sets of a file. ``tasks`` are those of the run, and ``task`` is
that of the flag ``--task``. It raises UserError for a malformed file and where no task of the run fits."""


def score_challenge(
    predictor: Predictor, challenge: Challenge, batch_size: int = 64
) -> dict[str, Any]:
    """Predict a challenge set and score it.

    Returns:
        ``task``, ``rows``; ``metrics`` with ``ACC``, the accuracy in percent; ``ece`` in percent; ``loss``, the
        mean negative log-likelihood in nats; ``groups``: kind -> group -> gold label -> rows and ACC. The
        probability of a label of the file is the sum of those of the task's labels that it stands for.

    Raises:
        UserError: a row is malformed, or the task does not predict classes.
    """
    rows = [without_label(row) for row in challenge.rows]
    answers = predictor.predict(challenge.task, rows, batch_size)
    predicted, confidence, nats = [], [], []
    for answer, gold in zip(answers, challenge.gold, strict=True):
        if not isinstance(answer.scores, dict):
            raise UserError(
                f"{challenge.name}: task {challenge.task!r} does not predict one of several classes, so it has no "
                f"accuracy on this file"
            )
        chances: dict[str, float] = {}
        for label, p in answer.scores.items():
            own = challenge.names.get(str(label), str(label))
            chances[own] = chances.get(own, 0.0) + p
        own = challenge.names.get(str(answer.prediction), str(answer.prediction))
        predicted.append(own)
        confidence.append(chances[own])
        nats.append(-math.log(max(chances[gold], LEAST)))
    right = [own == gold for own, gold in zip(predicted, challenge.gold, strict=True)]
    pairs = zip(right, confidence, strict=True)
    found = calibration([Decisions([is_right], [p]) for is_right, p in pairs])
    return {
        "task": challenge.task,
        "rows": len(right),
        "metrics": {"ACC": _percent(right)},
        "ece": None if found is None else found["ece"],
        "loss": float(np.mean(nats)),
        "groups": {
            kind: _by_group(of_rows, challenge.gold, right)
            for kind, of_rows in challenge.groups.items()
        },
    }


def _by_group(
    groups: Sequence[str], gold: Sequence[str], right: Sequence[bool]
) -> dict[str, dict[str, Any]]:
    """Return group -> gold label -> number of rows and accuracy in percent."""
    found: dict[str, dict[str, list[bool]]] = {}
    for group, label, is_right in zip(groups, gold, right, strict=True):
        found.setdefault(group, {}).setdefault(label, []).append(is_right)
    return {
        group: {
            label: {"rows": len(own), "ACC": _percent(own)} for label, own in sorted(labels.items())
        }
        for group, labels in sorted(found.items())
    }


def _percent(right: Sequence[bool]) -> float:
    return 100.0 * sum(right) / len(right)
