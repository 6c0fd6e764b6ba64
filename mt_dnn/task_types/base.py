"""What a task type must provide; one file per type implements it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from torch import Tensor, nn

from data_utils.collator import Batch
from data_utils.formats import FORMATS
from data_utils.registry import Registry, UserError, choices_hint
from data_utils.task_def import TaskDef
from mt_dnn.config import ModelConfig
from mt_dnn.divergences import DIVERGENCES
from mt_dnn.heads import ACTIVATIONS, POOLINGS


@dataclass
class Prediction:
    """What the model says of one example."""

    uid: str
    value: Any
    """Class id, number, or one entry per candidate."""
    scores: Any
    """Probabilities of the classes or candidates; the number itself for regression."""
    gold: Any = None
    """The label in the form of ``value``; None where the row had none."""


class TaskType(Protocol):
    """How hidden states become a loss, a divergence and a prediction; one instance per task."""

    task: TaskDef
    label_per: ClassVar[str]
    """What carries a label: ``label_per`` of the data formats that this type takes."""
    losses: ClassVar[tuple[str, ...]]
    """MT-DNN's names of this type's supervised loss: accepted, and all the same loss."""
    divergences: ClassVar[tuple[str, ...]]
    """Names in DIVERGENCES that this type's output allows; the first is its own."""
    picture: ClassVar[str | None]
    """What evaluation draws: ``confusion``, ``scatter`` or None."""

    def __init__(self, task: TaskDef) -> None: ...

    @classmethod
    def check(cls, task: TaskDef) -> TaskDef:
        """The definition with names in their correct form.

        Raises:
            UserError: data format, n_class, labels, loss or divergence do not fit this type.
        """

    def build_head(self, hidden_size: int, config: ModelConfig) -> nn.Module:
        """A module: ``head(hidden (N, T, H), batch) -> logits`` of the shape the type states."""

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        """Scalar: the supervised loss, mean over what is labelled, in float32."""

    def divergence(
        self, p_logits: Tensor, q_logits: Tensor, batch: Batch, *, name: str | None = None
    ) -> Tensor:
        """Scalar: l_s of SMART; sum over the distribution, mean over examples, in float32.

        ``name`` asks for another divergence than the task's; a type that does not allow it keeps
        its own, so that one run can ask for Jensen-Shannon and train a regression task too.
        """

    def decode(self, logits: Tensor, batch: Batch) -> list[Prediction]:
        """One prediction per example; ``logits`` and ``batch`` are on the CPU."""


TASK_TYPES: Registry[type[TaskType]] = Registry("task_type")


class BaseTaskType:
    """The part of :class:`TaskType` that is the same for all: names and their checks."""

    label_per: ClassVar[str] = "example"
    losses: ClassVar[tuple[str, ...]] = ()
    divergences: ClassVar[tuple[str, ...]] = (
        *("symmetric_kl", "kl", "js", "hellinger"),
        "squared_error",  # of the logits: what MT-DNN's task files distil with
    )
    picture: ClassVar[str | None] = None

    def __init__(self, task: TaskDef) -> None:
        self.task = task

    @classmethod
    def check(cls, task: TaskDef) -> TaskDef:
        formats = [name for name in FORMATS.names() if FORMATS.get(name).label_per == cls.label_per]
        _choose(task, "data_format", task.data_format, formats)
        _choose(task, "loss", task.loss, cls.losses)
        _choose(task, "actf", task.activation, (*ACTIVATIONS, "none"))
        _choose(task, "pooling", task.pooling, POOLINGS)
        return dataclasses.replace(
            task,
            kd_loss=cls._divergence(task, "kd_loss", task.kd_loss),
            adv_loss=cls._divergence(task, "adv_loss", task.adv_loss),
        )

    @classmethod
    def _divergence(cls, task: TaskDef, key: str, given: str | None) -> str | None:
        """The divergence's own name for the task file's."""
        if given is None:
            return None
        if given not in DIVERGENCES:
            raise UserError(
                f"{task.where}: {key}: unknown divergence {given!r}."
                f"{choices_hint(given, cls.divergences)}"
            )
        name = DIVERGENCES.canonical(given)
        _choose(task, key, name, cls.divergences)
        return name

    def divergence_name(self, name: str | None) -> str:
        """The one to use: as asked where allowed, else the task's, else the type's own."""
        if name in self.divergences:
            return str(name)
        return self.task.adv_loss or self.divergences[0]


def _choose(task: TaskDef, key: str, given: str | None, choices: Iterable[str]) -> None:
    if given is not None and given not in choices:
        raise UserError(
            f"{task.where}: {key}: {given!r} does not fit task_type {task.task_type}."
            f"{choices_hint(given, choices)}"
        )


def check_class_count(task: TaskDef, at_least: int) -> None:
    """n_class as big as the type needs, and equal to the number of labels where they are given."""
    if task.n_class < at_least:
        raise UserError(
            f"{task.where}: n_class: {task.n_class}; {task.task_type} needs at least {at_least}"
        )
    if task.labels and len(task.labels) != task.n_class:
        raise UserError(
            f"{task.where}: n_class: {task.n_class} but {len(task.labels)} labels: "
            f"{', '.join(task.labels)}"
        )
