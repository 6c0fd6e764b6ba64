"""MT-DNN: one shared encoder, one head per task (Liu et al., arXiv 1901.11504)."""

from __future__ import annotations

from torch import Tensor, nn

from data_utils.collator import Batch
from data_utils.task_def import TaskDef
from mt_dnn.config import ModelConfig
from mt_dnn.encoder import Encoder
from mt_dnn.heads import PooledHead
from mt_dnn.task_types import TASK_TYPES, TaskType


class MTDNN(nn.Module):
    """Args:
    encoder: the shared encoder.
    tasks: by name; tasks with the same ``head`` share one.
    config: defaults of the heads.
    """

    def __init__(self, encoder: Encoder, tasks: dict[str, TaskDef], config: ModelConfig) -> None:
        super().__init__()
        self.encoder = encoder
        self.tasks = tasks
        self.task_types: dict[str, TaskType] = {
            name: TASK_TYPES.get(task.task_type)(task) for name, task in tasks.items()
        }
        self.heads = nn.ModuleDict()
        pooler = encoder.pooler_weights()
        for name, task in tasks.items():
            if task.head_name in self.heads:
                continue
            head = self.task_types[name].build_head(encoder.hidden_size, config)
            if pooler is not None and isinstance(head, PooledHead):
                head.start_from_pooler(*pooler)
            self.heads[task.head_name] = head

    def embed(self, batch: Batch) -> Tensor:
        """Word embeddings (N, T, E): what SMART perturbs."""
        return self.encoder.embed(batch.input_ids)

    def encode(self, embeds: Tensor, batch: Batch) -> Tensor:
        """Hidden states (N, T, H)."""
        mask = batch.attention_mask if batch.is_padded else None
        return self.encoder.encode(embeds, mask, batch.token_type_ids)

    def logits(self, embeds: Tensor, batch: Batch) -> Tensor:
        """From word embeddings to the output of the batch's task, shaped as its type states."""
        head = self.heads[self.tasks[batch.task].head_name]
        return head(self.encode(embeds, batch), batch)

    def forward(self, batch: Batch) -> Tensor:
        return self.logits(self.embed(batch), batch)
