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
from mt_dnn.registries import TASK_TYPES
from mt_dnn.task_types import TaskType


class MTDNN(nn.Module):
    """A shared encoder and one head per task.

    Args:
        encoder: the shared encoder.
        tasks: definitions by name, as :func:`mt_dnn.task_types.load_tasks` returns them. Tasks with
            the same ``head`` share one head.
        config: defaults of the heads.
        tokenizer: the tokenizer of the encoder. Only task types that generate text or mask tokens
            need it.

    Raises:
        UserError: a task does not fit the encoder or the tokenizer.

    Source: Liu et al., arXiv 1901.11504, section 3.

    Example::

        config = ModelConfig(encoder="bert-base-uncased")
        model = MTDNN(load_encoder(config.encoder), load_tasks("tasks.yml"), config)
        logits = model(batch)  # the shape depends on the type of the task
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
        """Add a task that was not trained; it uses the head that its ``head`` key names.

        Args:
            task: the definition of the new task.
            tokenizer: the tokenizer of the encoder.

        Raises:
            UserError: the model has no such head, or the head has a different shape.
        """
        if task.head_name not in self.heads:
            raise UserError(
                f"{task.where}: the run has no head {task.head_name!r}."
                f"{choices_hint(task.head_name, self.heads)}"
            )
        check_shared_heads({**self.tasks, task.name: task})
        self.tasks[task.name] = task
        self.task_types[task.name] = TASK_TYPES.get(task.task_type)(task, tokenizer)

    def embed(self, batch: Batch) -> Tensor:
        """Compute the word embeddings, (N, T, E), which SMART perturbs."""
        return self.encoder.embed(batch.input_ids)

    def encode(self, embeds: Tensor, batch: Batch) -> Tensor:
        """Compute the hidden states, (N, T, H), from word embeddings (N, T, E)."""
        mask = batch.attention_mask if batch.is_padded else None
        return self.encoder.encode(embeds, mask, batch.token_type_ids)

    def logits(self, embeds: Tensor, batch: Batch) -> Tensor:
        """Compute the logits of the batch's task from word embeddings (N, T, E).

        The type of the task determines their shape.
        """
        return self.head(batch)(self.encode(embeds, batch), batch)

    def head(self, batch: Batch) -> nn.Module:
        """Return the head of the batch's task."""
        return self.heads[self.tasks[batch.task].head_name]

    def forward(self, batch: Batch) -> Tensor:
        """Compute the logits of a batch, as in training."""
        return self.logits(self.embed(batch), batch)

    def infer(self, batch: Batch) -> Tensor:
        """Compute the logits to decode, which do not depend on the labels."""
        hidden = self.encode(self.embed(batch), batch)
        return self.task_types[batch.task].infer(self.head(batch), hidden, batch)
