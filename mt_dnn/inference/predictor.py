"""Inference with a finished run: predictions by task name, logits, embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from data_utils.collator import Batch
from data_utils.encoded_rows import EncodedRows
from data_utils.errors import UserError
from data_utils.formats import Example
from data_utils.inputs import Rows, parse_rows
from data_utils.manifest import tokenizer_hash
from data_utils.plugins import import_plugins
from data_utils.registry import choices_hint
from data_utils.task_def import TaskDef
from mt_dnn.devices import choose_device
from mt_dnn.encoders.load import load_encoder
from mt_dnn.encoders.pretrained import load_tokenizer
from mt_dnn.heads.pooled import pool
from mt_dnn.inference.ensemble import Ensemble
from mt_dnn.inference.loop import Read, map_batches, map_logits
from mt_dnn.model import MTDNN
from mt_dnn.runs.model_folder import load_heads, model_folder, read_model_facts, read_plugins
from mt_dnn.task_types import Prediction, TaskType, load_tasks

T = TypeVar("T")
# Placeholder task to parse and tokenize the texts of embeddings. Its other fields are not used.
TEXT = TaskDef("text", "PremiseOnly", "", n_class=1, metrics=(), metric_for_best="")


@dataclass(frozen=True)
class Answer:
    """The prediction for one row, with the task's label names."""

    uid: str
    """The row's uid, or its position if it has none."""
    label: Any
    """Label name (id if the task has no labels), number, text, or a list per candidate or word."""
    scores: Any
    """Label -> probability; the number itself; or the probability of each candidate."""
    gold: Any = None
    """The row's label in the form of ``label``; None if it has none."""


def load(
    run: str | Path | Sequence[str | Path],
    device: Literal["auto", "cuda", "mps", "cpu"] = "cpu",
    *,
    plugins: bool = False,
) -> Predictor:
    """Load the best model of a finished run, in eval mode and float32.

    Several runs become an :class:`mt_dnn.inference.ensemble.Ensemble`, which averages their logits.

    Args:
        run: a run directory or its ``best`` folder, which may have been moved or copied; or a list of
            these.
        device: auto selects CUDA if available, else MPS, else the CPU.
        plugins: import the plugins that the run was trained with. They are Python code: set it only for
            runs that you trust.

    Raises:
        UserError: the run does not exist, it needs a plugin that is not imported, its files do not fit together, the device is not available,
            or the runs of an ensemble differ in tokenizer, max_seq_len or the definition of a task.

    Example:
        >>> from mt_dnn import load
        >>> run = load("runs/glue")
        >>> answers = run.predict("rte", [("A dog sleeps.", "An animal sleeps."), ("It rains.", "It snows.")])
        >>> [answer.label for answer in answers]
        ['entailment', 'not_entailment']
        >>> sorted(answers[0].scores)
        ['entailment', 'not_entailment']
        >>> run.embeddings(["one sentence"]).shape == (1, run.model.encoder.hidden_size)
        True
    """
    runs = [run] if isinstance(run, (str, Path)) else list(run)
    if not runs:
        raise UserError("there is no run to load: the list is empty")
    chosen = choose_device(device)
    models, tokenizers, lengths = zip(
        *(_load(one, chosen, plugins=plugins) for one in runs), strict=True
    )
    for name, tokenizer, length in zip(runs[1:], tokenizers[1:], lengths[1:], strict=True):
        if tokenizer_hash(tokenizer) != tokenizer_hash(tokenizers[0]):
            raise UserError(
                f"{name} has another tokenizer than {runs[0]}; an ensemble needs the same one"
            )
        if length != lengths[0]:
            raise UserError(
                f"{name} was trained with max_seq_len {length} and {runs[0]} with {lengths[0]}; an "
                f"ensemble needs the same length"
            )
    model = models[0] if len(runs) == 1 else Ensemble(models, [str(one) for one in runs]).eval()
    return Predictor(model, tokenizers[0], lengths[0])


def _load(
    run: str | Path, device: str, *, plugins: bool
) -> tuple[MTDNN, PreTrainedTokenizerBase, int]:
    folder = model_folder(run)
    config, max_seq_len = read_model_facts(folder)
    needed = read_plugins(folder)
    if plugins:
        import_plugins(needed, str(folder))
    with torch.random.fork_rng(devices=[]):  # heads are initialised before their weights load
        tokenizer = load_tokenizer(str(folder))
        try:
            tasks = load_tasks(folder / "tasks.yml")
        except UserError as error:
            if plugins or not needed:
                raise
            raise UserError(
                f"{error} The run was trained with plugins: {', '.join(needed)}. If you trust this code, "
                f"import it: load(..., plugins=True), or --plugins on the command line"
            ) from None
        model = MTDNN(load_encoder(str(folder)), tasks, config, tokenizer)
    load_heads(folder, model, strict=True)
    return model.to(device).eval(), tokenizer, max_seq_len


class Predictor:
    """Predictions, logits and embeddings of rows, in the order of the rows.

    :func:`mt_dnn.load` makes it from a finished run.
    """

    def __init__(
        self, model: MTDNN | Ensemble, tokenizer: PreTrainedTokenizerBase, max_seq_len: int
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.max_seq_len = max_seq_len
        """The run's limit on tokens. A task's own max_seq_len overrides it."""

    @property
    def tasks(self) -> dict[str, TaskDef]:
        return self.model.tasks

    def task(self, name: str) -> TaskDef:
        """The definition of a task.

        Raises:
            UserError: there is no such task; the message lists the tasks.
        """
        if name not in self.tasks:
            lacks = "not every run has" if isinstance(self.model, Ensemble) else "the run has no"
            raise UserError(f"{lacks} task {name!r}.{choices_hint(name, self.tasks)}")
        return self.tasks[name]

    def add_task(self, task: TaskDef) -> None:
        """Add a task that shares a trained head; see :meth:`mt_dnn.model.MTDNN.add_task`."""
        self.model.add_task(task, self.tokenizer)

    def predict(self, task: str, rows: Rows, batch_size: int = 64) -> list[Answer]:
        """Predict the label of each row, with probabilities.

        Raises:
            UserError: unknown task, or a malformed row; the message names it.
        """
        definition = self.task(task)
        kind = self.model.task_types[definition.name]
        return [answer(kind, p) for p in self.decode(task, rows, batch_size)]

    def decode(self, task: str, rows: Rows, batch_size: int = 64) -> list[Prediction]:
        """As :meth:`predict`, with class ids instead of label names, as metrics need them."""
        kind = self.model.task_types[self.task(task).name]
        found = self._map_logits(self.task(task), rows, kind.decode, batch_size)
        return [kind.merge(windows) for windows in found]

    def logits(self, task: str, rows: Rows, batch_size: int = 64) -> np.ndarray | list[np.ndarray]:
        """The outputs of the task's head, for example to distil a student from.

        Returns:
            (n, C) float32. A list with one array per row where the shape depends on the row: (K,) for K
            candidates; (words, C) for labelled words, NaN for words beyond the maximum length;
            (tokens, V) for generated text. The windows of a row are concatenated.
        """
        definition = self.task(task)
        kind = self.model.task_types[definition.name]

        def read(logits: Tensor, batch: Batch) -> list[np.ndarray]:
            return [row.numpy() for row in kind.unpadded(logits, batch)]

        found = self._map_logits(definition, rows, read, batch_size)
        arrays = [own[0] if len(own) == 1 else np.concatenate(own) for own in found]
        if not kind.has_fixed_shape:
            return arrays
        return np.stack(arrays) if arrays else np.empty((0, definition.n_class), np.float32)

    def embeddings(
        self,
        texts: Rows,
        pooling: Literal["cls", "mean", "max"] = "mean",
        batch_size: int = 64,
    ) -> np.ndarray:
        """The shared encoder's last hidden states, pooled over each text: (n, H) float32.

        Raises:
            UserError: unknown pooling, a malformed text, or an ensemble, which has several encoders.
        """
        model = self.model
        if isinstance(model, Ensemble):
            raise UserError(
                "embeddings come from one encoder, and an ensemble has several; load a single run"
            )
        if pooling not in ("cls", "mean", "max"):
            raise UserError(
                f"unknown pooling {pooling!r}.{choices_hint(pooling, ('cls', 'mean', 'max'))}"
            )

        def forward(batch: Batch) -> Tensor:
            hidden = model.layer(model.embed(batch), batch, -1)  # (B, T, H)
            return pool(hidden, batch.attention_mask, pooling)  # (B, H)

        def read(pooled: Tensor, _: Batch) -> list[np.ndarray]:
            return list(pooled.numpy())

        _check_batch_size(batch_size)
        examples = parse_rows(texts, TEXT, labels=False)
        if not examples:
            return np.empty((0, model.encoder.hidden_size), np.float32)
        encoded = self._encode(examples, TEXT)
        return np.concatenate(map_batches(model, encoded, forward, read, batch_size=batch_size))

    def examples(self, task: str, rows: Rows) -> list[Example]:
        """Parse the rows with the task's data format, as the other methods do first."""
        return parse_rows(rows, self.task(task))

    def _map_logits(
        self, task: TaskDef, rows: Rows, read: Read[T], batch_size: int
    ) -> list[list[T]]:
        """Apply :func:`map_logits` to rows with and without labels, and keep their order."""
        _check_batch_size(batch_size)
        examples = self.examples(task.name, rows)
        found: dict[int, list[T]] = {}
        for labelled in (True, False):  # in separate batches: a batch has labels or has none
            own = [i for i, e in enumerate(examples) if (e.label is not None) == labelled]
            if own:
                encoded = self._encode([examples[i] for i in own], task)
                results = map_logits(self.model, encoded, read, batch_size=batch_size)
                found |= zip(own, results, strict=True)
        return [found[i] for i in range(len(examples))]

    def _encode(self, examples: list[Example], task: TaskDef) -> EncodedRows:
        return EncodedRows.from_examples(
            examples, task, self.tokenizer, max_seq_len=self.max_seq_len
        )


def answer(kind: TaskType, prediction: Prediction) -> Answer:
    """A prediction with the task's label names."""
    label, gold = (
        None if value is None else kind.in_words(value)
        for value in (prediction.value, prediction.gold)
    )
    return Answer(prediction.uid, label, kind.named_scores(prediction.scores), gold)


def _check_batch_size(batch_size: int) -> None:
    if batch_size < 1:
        raise UserError(f"batch_size: {batch_size}; it must be at least 1")
