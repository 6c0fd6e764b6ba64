"""Outcome, what a task predicts, and the check that the metrics of a task measure it."""

from __future__ import annotations

from enum import Enum

from data_utils.errors import UserError
from data_utils.registries import METRICS
from data_utils.registry import choices_hint
from data_utils.task_def import TaskDef


class Outcome(Enum):
    """What the predictions of a task are. A metric declares which of them it measures."""

    BINARY = "one of two classes"
    CLASS = "one of several classes"
    CANDIDATES = "right or wrong for each candidate"
    POSITION = "the position of a candidate"
    WORDS = "a class for each word"
    TOKENS = "the masked tokens"
    SET = "a set of labels"
    NUMBER = "a number"
    TEXT = "a text"

    @classmethod
    def of_classes(cls, n_class: int) -> Outcome:
        """Return the outcome of one class per example."""
        return cls.BINARY if n_class == 2 else cls.CLASS


def check_metrics(task: TaskDef, outcome: Outcome | None) -> None:
    """Check that all metrics of a task measure what it predicts.

    Args:
        task: the task.
        outcome: what it predicts; None fits every metric.

    Raises:
        UserError: a metric measures something else, or its own check of the task fails; the message
            has the place of the task and lists the metrics that fit.
    """
    for name in task.metrics:
        metric = METRICS.get(name, task.where)
        if outcome is not None and metric.fits and outcome not in metric.fits:
            fitting = [n for n in METRICS.names() if outcome in METRICS.get(n).fits]
            raise UserError(
                f"{task.where}: metric_meta: {name} does not fit the task: task_type {task.task_type} "
                f"predicts {outcome.value}, and {name} measures "
                f"{', or '.join(fit.value for fit in metric.fits)}.{choices_hint(name, fitting)}"
            )
        if metric.check is not None:
            metric.check(task)
