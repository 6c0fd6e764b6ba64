"""What a task type must provide; one file per type implements it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

from data_utils.collator import Batch
from data_utils.registry import Registry
from data_utils.task_def import TaskDef
from mt_dnn.config import ModelConfig


@dataclass
class Prediction:
    """What the model says of one example."""

    uid: str
    value: Any
    """Class id, number, or one entry per candidate."""
    scores: Any
    """Probabilities (list of floats) for classes and candidates; the number itself for regression."""
    gold: Any = None
    """The label in the form of ``value``; None where the row had none."""


class TaskType(Protocol):
    """Stateless: one instance per task, built as ``TASK_TYPES.get(name)(task)``."""

    task: TaskDef

    @staticmethod
    def check(task: TaskDef) -> TaskDef:
        """The definition with names in their correct form.

        Raises:
            UserError: n_class, labels, loss or divergence do not fit this type.
        """

    def build_head(self, hidden_size: int, config: ModelConfig) -> nn.Module:
        """A module: ``head(hidden (N,T,H), batch) -> logits`` of the shape the type states."""

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        """Scalar: the supervised loss, mean over what is labelled."""

    def divergence(self, p_logits: Tensor, q_logits: Tensor, batch: Batch) -> Tensor:
        """Scalar: l_s of SMART, sum over the distribution, mean over examples, in float32."""

    def decode(self, logits: Tensor, batch: Batch) -> list[Prediction]:
        """One prediction per example; ``logits`` and ``batch`` are on the CPU."""


TASK_TYPES: Registry[type[TaskType]] = Registry("task_type")
