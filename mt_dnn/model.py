"""MT-DNN: one shared encoder, one head per task (Liu et al., arXiv 1901.11504)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path

from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from data_utils.collator import Batch
from data_utils.encoded_rows import EncodedRows
from data_utils.errors import UserError
from data_utils.inputs import Rows, parse_rows
from data_utils.registry import choices_hint
from data_utils.task_agreement import check_shared_heads
from data_utils.task_def import TaskDef
from data_utils.task_entry import MIN_LENGTH
from mt_dnn.config.run import MAX_SEQ_LEN, ModelConfig
from mt_dnn.encoders.adapters import adapted
from mt_dnn.encoders.architecture import check_lengths
from mt_dnn.encoders.encoder import Encoder
from mt_dnn.encoders.load import load_encoder
from mt_dnn.encoders.pretrained import load_tokenizer
from mt_dnn.heads.scalar_mix import ScalarMix
from mt_dnn.heads.windows import MergedHead
from mt_dnn.registries import TASK_TYPES
from mt_dnn.task_types import TaskType, load_tasks

MIX = "layer_mix"
"""Name of the module of a head that mixes the layers which the head reads."""
_ATTRIBUTES = frozenset(dir(nn.ModuleDict()))


class Heads(nn.ModuleDict):
    """Heads by name. A name may also be that of an attribute of modules, such as ``type`` or ``train``.

    nn.ModuleDict refuses such names. They are stored with a colon at the end, which no other name of
    a head contains.
    """

    def __getitem__(self, name: str) -> nn.Module:
        return super().__getitem__(_key(name))

    def __setitem__(self, name: str, head: nn.Module) -> None:
        super().__setitem__(_key(name), head)

    def __contains__(self, name: object) -> bool:
        return super().__contains__(_key(str(name)))

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def keys(self) -> list[str]:  # type: ignore[override]
        return [key.removesuffix(":") for key in self._modules]

    def items(self) -> list[tuple[str, nn.Module]]:  # type: ignore[override]
        return list(zip(self.keys(), self.values(), strict=True))

    def prefix(self, name: str) -> str:
        """Return the beginning of the names of a head's weights in ``state_dict``."""
        return f"{_key(name)}."


def _key(name: str) -> str:
    return f"{name}:" if name in _ATTRIBUTES else name


class MTDNN(nn.Module):
    """A shared encoder and one head per task.

    :meth:`from_pretrained` builds the model from names. The constructor takes the parts.

    Args:
        encoder: the shared encoder.
        tasks: definitions by name, as :func:`mt_dnn.load_tasks` returns them. Tasks with the same
            ``head`` share one head.
        config: defaults of the heads.
        tokenizer: the tokenizer of the encoder. :meth:`batch` and the task types that generate text
            or mask tokens need it.

    Raises:
        UserError: a task does not fit the encoder or the tokenizer.

    Source: Liu et al., arXiv 1901.11504, section 3.

    Example:
        >>> from mt_dnn import MTDNN
        >>> model = MTDNN.from_pretrained("bert-base-uncased", "tasks.yml")
        >>> batch = model.batch("rte", [("A dog sleeps.", "An animal sleeps.")])
        >>> model(batch).shape  # one row, two labels
        torch.Size([1, 2])
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
        self.tokenizer = tokenizer
        self.tasks = tasks
        self.task_types: dict[str, TaskType] = {
            name: TASK_TYPES.get(task.task_type)(task, tokenizer) for name, task in tasks.items()
        }
        self.heads = Heads()
        for name, task in tasks.items():
            if task.head_name not in self.heads:
                head = self.task_types[name].build_head(encoder, config)
                if (task.layers or config.layers) == "scalar_mix":
                    head.add_module(MIX, ScalarMix(encoder.depth + 1))
                self.heads[task.head_name] = head

    @classmethod
    def from_pretrained(
        cls,
        encoder: str | Path,
        tasks: str | Path | Mapping[str, TaskDef],
        config: ModelConfig | None = None,
    ) -> MTDNN:
        """Build a model from a pretrained encoder, its tokenizer and new heads.

        torch's global generator initializes the heads: call ``torch.manual_seed`` before, to get the
        same heads again. The model is in eval mode on the CPU; call ``train()`` before you train it.
        To load a finished run with its trained heads, use :func:`mt_dnn.load`.

        Args:
            encoder: hub name, local folder, or ``package:NAME`` for weights inside an installed
                Python package.
            tasks: a task file, or definitions by name.
            config: defaults of the heads, and the attention. ``config.encoder`` is ignored.

        Raises:
            UserError: the encoder cannot be loaded, the task file is malformed, a task does not fit
                the encoder, or ``config.init_from`` is set.
        """
        config = dataclasses.replace(config or ModelConfig(), encoder=str(encoder))
        if config.init_from is not None:
            raise UserError(
                f"model.init_from: {config.init_from}: MTDNN.from_pretrained makes new heads. Train "
                f"from a finished run with mt_dnn.Trainer, or load it with mt_dnn.load"
            )
        if isinstance(tasks, (str, Path)):
            tasks = load_tasks(tasks)
        loaded = load_encoder(
            config.encoder,
            attention=config.attention,
            gradient_checkpointing=config.gradient_checkpointing,
            dropout=config.encoder_dropout,
            num_layers=config.num_layers,
        )
        tokenizer = load_tokenizer(config.encoder)
        return cls(adapted(loaded, config), dict(tasks), config, tokenizer).eval()

    def batch(self, task: str, rows: Rows, *, max_seq_len: int | None = None) -> Batch:
        """Tokenize rows and pad them to one batch on the device of the model.

        Args:
            task: name of the task.
            rows: texts, tuples of texts, or dicts by column name, as
                :meth:`mt_dnn.inference.predictor.Predictor.predict` takes them. A label goes into a
                dict, under ``label``. Either all rows have one or none has.
            max_seq_len: greatest length in tokens, if the task does not set its own. None takes the
                limit of tokenizer and encoder, at most 512.

        Returns:
            A batch with one example per row, in their order; a row of a span task that is cut into
            windows has one example per window, and a row of a task with ``windows`` has one sequence
            per window. ``labels`` is None if the rows have none.

        Raises:
            UserError: there is no such task, a row is malformed, there are no rows, only some of them
                have a label, or the model has no tokenizer.

        Example:
            >>> from mt_dnn import MTDNN
            >>> model = MTDNN.from_pretrained("bert-base-uncased", "tasks.yml")
            >>> rows = [
            ...     {"premise": "A dog sleeps.", "hypothesis": "A cat runs.", "label": "not_entailment"},
            ...     {"premise": "It rains.", "hypothesis": "It is wet.", "label": "entailment"},
            ... ]
            >>> batch = model.batch("rte", rows)
            >>> batch.labels  # positions in the labels of tasks.yml
            tensor([1, 0])
            >>> batch.input_ids.shape == batch.attention_mask.shape
            True
        """
        if task not in self.tasks:
            raise UserError(f"the model has no task {task!r}.{choices_hint(task, self.tasks)}")
        if self.tokenizer is None:
            raise UserError("the model has no tokenizer; build it with MTDNN.from_pretrained")
        if max_seq_len is None:
            limits = (self.tokenizer.model_max_length, self.encoder.positions, MAX_SEQ_LEN)
            max_seq_len = min(limit for limit in limits if limit is not None)
        examples = parse_rows(rows, self.tasks[task])
        labelled = sum(example.label is not None for example in examples)
        if not examples:
            raise UserError("rows: there are no rows, and a batch needs at least one")
        if 0 < labelled < len(examples):
            raise UserError(
                f"rows: {labelled} of {len(examples)} rows have a label; put rows with and without a "
                f"label into separate batches"
            )
        encoded = EncodedRows.from_examples(
            examples, self.tasks[task], self.tokenizer, max_seq_len=max_seq_len
        )
        device = next(self.parameters()).device
        return encoded.batch(range(len(encoded))).to(device)

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
        check_lengths(
            {task.name: task}, MIN_LENGTH, self.encoder.positions, str(self.encoder.source)
        )
        self.tasks[task.name] = task
        self.task_types[task.name] = TASK_TYPES.get(task.task_type)(task, tokenizer)

    def embed(self, batch: Batch) -> Tensor:
        """Compute the word embeddings, (N, T, E), which SMART perturbs."""
        return self.encoder.embed(batch.input_ids)

    def encode(self, embeds: Tensor, batch: Batch, *, shift: Tensor | None = None) -> Tensor:
        """Compute what the head of the batch's task reads, (N, T, H), from word embeddings (N, T, E).

        These are the last hidden states of the encoder, or the head's mixture of all layers
        (:class:`mt_dnn.heads.scalar_mix.ScalarMix`). ``shift``, (N, T, H), is added to what enters the
        first layer.
        """
        mask = batch.attention_mask if batch.is_padded else None
        shifted = {} if shift is None else {"shift": shift}  # most overrides do not know it
        mix = getattr(self.heads[self.tasks[batch.task].head_name], MIX, None)
        if mix is None:
            return self.encoder.encode(embeds, mask, batch.token_type_ids, **shifted)
        return mix(self.encoder.hidden_states(embeds, mask, batch.token_type_ids, **shifted))

    def layer(self, embeds: Tensor, batch: Batch, layer: int) -> Tensor:
        """Compute the hidden states of one layer of the shared encoder, (N, T, H).

        Args:
            embeds: word embeddings, (N, T, E).
            layer: index into :meth:`mt_dnn.encoders.encoder.Encoder.hidden_states`; 0 is the input of the
                first layer, -1 the last layer.
        """
        mask = batch.attention_mask if batch.is_padded else None
        if layer in (-1, self.encoder.depth):
            return self.encoder.encode(embeds, mask, batch.token_type_ids)
        return self.encoder.hidden_states(embeds, mask, batch.token_type_ids)[layer]

    def embedding_output(self, embeds: Tensor, batch: Batch) -> Tensor:
        """Compute what enters the first layer, (N, T, H), from word embeddings (N, T, E)."""
        mask = batch.attention_mask if batch.is_padded else None
        return self.encoder.embedding_output(embeds, mask, batch.token_type_ids)

    def logits(self, embeds: Tensor, batch: Batch, *, shift: Tensor | None = None) -> Tensor:
        """Compute the logits of the batch's task from word embeddings (N, T, E).

        The type of the task determines their shape. ``shift`` as in :meth:`encode`.
        """
        shifted = {} if shift is None else {"shift": shift}
        return self.head(batch)(self.encode(embeds, batch, **shifted), batch)

    def head(self, batch: Batch) -> nn.Module:
        """Return the head of the batch's task; it merges the windows of each example if there are any."""
        task = self.tasks[batch.task]
        head = self.heads[task.head_name]
        # Made for each batch: tasks with and without windows may share a head and its parameters' names.
        return head if task.windows is None else MergedHead(head, task.windows.merge)

    def forward(self, batch: Batch) -> Tensor:
        """Compute the logits of a batch, as in training."""
        return self.logits(self.embed(batch), batch)

    def infer(self, batch: Batch) -> Tensor:
        """Compute the logits to decode, which do not depend on the labels."""
        hidden = self.encode(self.embed(batch), batch)
        return self.task_types[batch.task].infer(self.head(batch), hidden, batch)
