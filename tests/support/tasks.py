"""Task definitions and task types without a task file."""

from __future__ import annotations

from typing import Any

from data_utils.registries import FORMATS
from data_utils.task_def import TaskDef
from mt_dnn.registries import TASK_TYPES
from mt_dnn.task_types import TaskType, checked

N_CLASS = {"Regression": 1, "Ranking": 1}
"""A new type needs a line here where its n_class is neither 3 nor open (0)."""
METRICS = {"MaskLM": "Perplexity", "Span": "EM", "SpanYN": "EM", "SequenceGeneration": "EM"}
"""Types without a number of classes."""
OTHER_METRICS = {"ClozeChoice": "EM", "HNN": "EM", "Regression": "Pearson"}


def make_task(task_type: str = "Classification", **fields: Any) -> TaskDef:
    """A task that its type has checked, called ``t``.

    The type chooses what ``fields`` leave out: its first format, ACC or a metric that fits, and
    as many classes as there are labels.
    """
    name = TASK_TYPES.canonical(task_type, "")
    classes = 0 if name in METRICS else N_CLASS.get(name, 3)
    metric = "ACC" if fields.get("labels") and name == "SequenceGeneration" else METRICS.get(name)
    metrics = fields.get("metrics", (metric or OTHER_METRICS.get(name, "ACC"),))
    defaults = {
        "name": "t",
        "data_format": format_of(name),
        "n_class": len(fields.get("labels", ())) or classes,
        "metrics": metrics,
        "metric_for_best": metrics[0],
        "where": "tasks.yml:1: task 't'",
    }
    return checked(TaskDef(**{**defaults, **fields, "task_type": task_type}))


def format_of(task_type: str) -> str:
    """A data format whose rows have the labels of this type; single sentences where they do."""
    label = TASK_TYPES.get(task_type).label
    fitting = [name for name in FORMATS.names() if label in FORMATS.get(name).labels]
    return "PremiseOnly" if "PremiseOnly" in fitting else fitting[0]


def make_kind(task_type: str = "Classification", tokenizer: Any = None, **fields: Any) -> TaskType:
    """The task type of :func:`make_task`, with ``tokenizer`` where it needs one."""
    task = make_task(task_type, **fields)
    return TASK_TYPES.get(task.task_type)(task, tokenizer)
