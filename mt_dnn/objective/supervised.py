"""The supervised term, and its mixture with a teacher's logits."""

from __future__ import annotations

from torch import Tensor

from mt_dnn.config.run import DistillConfig
from mt_dnn.objective.distillation import distillation_loss, teacher_weight
from mt_dnn.objective.step import Step
from mt_dnn.objective.terms import LossTerm


class SupervisedTerm(LossTerm):
    """L, the loss of the batch's task type."""

    tag = "loss"
    group = "train"

    def compute(self, step: Step) -> Tensor:
        return step.task_type.loss(step.logits, step.batch)


class DistilledTerm(SupervisedTerm):
    """(1 - w_t) L + w_t D_kd where a batch has soft labels, else L (mt_dnn/objective/distillation.py).

    L is logged as ``train/<task>/loss`` and D_kd as ``train/<task>/distill``.

    Args:
        config: weight, temperature and annealing.
    """

    def __init__(self, config: DistillConfig) -> None:
        super().__init__()
        self.config = config

    def compute(self, step: Step) -> Tensor:
        supervised = super().compute(step)
        if step.batch.soft_labels is None:
            return supervised
        kind = step.task_type
        name = kind.task.kd_loss or kind.kd_loss
        distill = distillation_loss(
            step.logits,
            kind.soft_logits(step.logits, step.batch),
            lambda p, q: step.divergence(p, q, name=name),
            temperature=self.config.temperature,
        )
        step.note("loss", supervised)
        step.note("distill", distill)
        weight = teacher_weight(self.config, step.progress)
        return (1 - weight) * supervised + weight * distill
