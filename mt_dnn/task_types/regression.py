"""Task type: regression to a number; logits (B, 1)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from data_utils.collator import Batch
from data_utils.errors import UserError
from data_utils.labels import LabelKind, LabelSpec, LabelUnit
from data_utils.metrics.outcome import Outcome
from data_utils.task_def import TaskDef
from mt_dnn.divergences import Output, squared_error
from mt_dnn.task_types.examples import ExampleTaskType
from mt_dnn.task_types.prediction import Prediction


class Regression(ExampleTaskType):
    """Regression.

    The loss is the mean squared error, the divergence is the squared difference, and the prediction is
    the output. A new head starts at the mean and the standard deviation of the training labels.
    """

    label: ClassVar[LabelSpec] = LabelSpec(LabelKind.NUMBER, LabelUnit.EXAMPLE)
    takes_san: ClassVar[bool] = True
    losses: ClassVar[tuple[str, ...]] = ("MseCriterion",)
    output: ClassVar[Output] = Output.NUMBER
    default_divergence: ClassVar[str] = "squared_error"
    kd_loss: ClassVar[str | None] = "squared_error"
    picture: ClassVar[str | None] = "scatter"
    problem_type: ClassVar[str | None] = "regression"

    @classmethod
    def check(cls, task: TaskDef) -> TaskDef:
        if task.n_class != 1 or task.labels:
            raise UserError(f"{task.where}: Regression needs n_class: 1 and no labels")
        return super().check(task)

    @classmethod
    def outcome(cls, task: TaskDef) -> Outcome | None:
        return Outcome.NUMBER

    @torch.no_grad()
    def start_head(self, head: nn.Module, labels: np.ndarray) -> None:
        """Start the output of a new head at the mean of the labels, and scale it by their deviation.

        An output layer that starts at 0 would spend the first updates on reaching the mean of the labels,
        and short runs would not get further. A head whose output bias is not 0 is not new.
        """
        output = getattr(head, "output", None)
        if isinstance(output, nn.Linear) and output.bias is not None and not output.bias.any():
            output.bias.fill_(float(labels.mean()))
            output.weight.mul_(float(labels.std()) or 1.0)

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        assert batch.labels is not None
        # squared_error rejects unequal shapes, because (B,) and (B, 1) would broadcast to (B, B).
        gold = batch.labels.float().unsqueeze(-1)  # (B, 1)
        return squared_error(logits.float(), gold).mean()

    def decode(self, logits: Tensor, batch: Batch) -> list[Prediction]:
        values = logits.float().squeeze(-1).tolist()  # B
        gold = [None] * len(batch) if batch.labels is None else batch.labels.tolist()
        return [
            Prediction(uid, value, value, label)
            for uid, value, label in zip(batch.uids, values, gold, strict=True)
        ]

    def guess(self, gold: list[float]) -> list[float]:
        """Return the mean of the gold labels for every example."""
        return [sum(gold) / len(gold)] * len(gold)

    def details(self) -> tuple[str, ...]:
        return ("ranges",)
