"""Ensembles: the mean of several models' logits."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from data_utils.collator import Batch
from data_utils.errors import UserError
from data_utils.task_def import TaskDef
from mt_dnn.model import MTDNN

SAME = (
    "data_format",
    "task_type",
    "n_class",
    "labels",
    "label",
    "options",
    "max_seq_len",
    "windows",
)
"""Fields of a task that determine its token ids and the meaning of its logits."""


class Ensemble(nn.Module):
    """Average the logits of several models.

    For a distribution this is the normalized geometric mean of the members' probabilities (Hinton et al.
    2015, arXiv 1503.02531, section 1): softmax(1/M sum_m z_m) ~ prod_m p_m^(1/M).

    Args:
        members: one or more models with the same tokenizer. The ensemble has the tasks that all of
            them have.
        names: the members' names in messages.

    Raises:
        UserError: the members have no task in common, or define a task differently.
    """

    def __init__(self, members: Sequence[MTDNN], names: Sequence[str]) -> None:
        super().__init__()
        self.members = list(members)
        self._registered = nn.ModuleList(members)
        first, *others = members
        for name, other in zip(names[1:], others, strict=True):
            for task in first.tasks.keys() & other.tasks.keys():
                _check_same(first.tasks[task], other.tasks[task], names=(names[0], name))
        common = [task for task in first.tasks if all(task in other.tasks for other in others)]
        if not common:
            raise UserError(f"no task is in all of the runs: {', '.join(names)}")
        self.tasks = {task: first.tasks[task] for task in common}
        self.task_types = {task: first.task_types[task] for task in common}

    def infer(self, batch: Batch) -> Tensor:
        """The mean of the members' :meth:`MTDNN.infer`, in float32.

        Raises:
            UserError: the task generates text. Each token depends on those before it, so the members'
                logits at one position do not belong together.
        """
        task = self.tasks[batch.task]
        if not self.task_types[batch.task].can_average:
            raise UserError(
                f"{task.where}: {task.task_type} writes a text token by token, which an ensemble "
                f"cannot average. Use a single run"
            )
        return torch.stack([member.infer(batch).float() for member in self.members]).mean(0)

    def add_task(self, task: TaskDef, tokenizer: PreTrainedTokenizerBase) -> None:
        """Add a task to every member; see :meth:`MTDNN.add_task`."""
        for member in self.members:
            member.add_task(task, tokenizer)
        self.tasks[task.name] = task
        self.task_types[task.name] = self.members[0].task_types[task.name]


def _check_same(one: TaskDef, other: TaskDef, *, names: tuple[str, str]) -> None:
    for key in SAME:
        mine, theirs = getattr(one, key), getattr(other, key)
        if mine != theirs:
            raise UserError(
                f"task {one.name!r} is not the same in all runs: {key} is {mine!r} in {names[0]} and "
                f"{theirs!r} in {names[1]}"
            )
