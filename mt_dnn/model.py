"""MT-DNN: one shared encoder, one head per task (Liu et al., arXiv 1901.11504)."""

from __future__ import annotations

from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from data_utils.collator import Batch
from data_utils.errors import UserError
from data_utils.registry import choices_hint
from data_utils.task_def import TaskDef
from data_utils.task_file import check_shared_heads
from mt_dnn.config.run import ModelConfig
from mt_dnn.encoders.encoder import Encoder
from mt_dnn.task_types import TASK_TYPES, TaskType


class MTDNN(nn.Module):
    """Args:
    encoder: the shared encoder.
    tasks: by name; tasks with the same ``head`` share one.
    config: defaults of the heads.
    tokenizer: the encoder's; only types that write text or hide tokens need it.
    """

    def __init__(
        self,
        encoder: Encoder,
        tasks: dict[str, TaskDef],
        config: ModelConfig,
        tokenizer: PreTrainedTokenizerBase | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.tasks = tasks
        self.task_types: dict[str, TaskType] = {
            name: TASK_TYPES.get(task.task_type)(task, tokenizer) for name, task in tasks.items()
        }
        self.heads = nn.ModuleDict()
        for name, task in tasks.items():
            if task.head_name not in self.heads:
                self.heads[task.head_name] = self.task_types[name].build_head(encoder, config)

    def add_task(self, task: TaskDef, tokenizer: PreTrainedTokenizerBase) -> None:
        """Take on a task that was not trained, answered by the head that it shares (``head:``).

        Raises:
            UserError: there is no such head, or it has another shape.
        """
        if task.head_name not in self.heads:
            raise UserError(
                f"{task.where}: needs head {task.head_name!r}, which the run lacks."
                f"{choices_hint(task.head_name, self.heads)}"
            )
        check_shared_heads({**self.tasks, task.name: task})
        self.tasks[task.name] = task
        self.task_types[task.name] = TASK_TYPES.get(task.task_type)(task, tokenizer)

    def embed(self, batch: Batch) -> Tensor:
        """Word embeddings (N, T, E): what SMART perturbs."""
        return self.encoder.embed(batch.input_ids)

    def encode(self, embeds: Tensor, batch: Batch) -> Tensor:
        """Hidden states (N, T, H)."""
        mask = batch.attention_mask if batch.is_padded else None
        return self.encoder.encode(embeds, mask, batch.token_type_ids)

    def logits(self, embeds: Tensor, batch: Batch) -> Tensor:
        """From word embeddings to the output of the batch's task, shaped as its type states."""
        return self.head(batch)(self.encode(embeds, batch), batch)

    def head(self, batch: Batch) -> nn.Module:
        return self.heads[self.tasks[batch.task].head_name]

    def forward(self, batch: Batch) -> Tensor:
        return self.logits(self.embed(batch), batch)

    def infer(self, batch: Batch) -> Tensor:
        """Logits to decode, which do not depend on the labels."""
        hidden = self.encode(self.embed(batch), batch)
        return self.task_types[batch.task].infer(self.head(batch), hidden, batch)
