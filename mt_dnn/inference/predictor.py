"""Inference with a finished run: predictions by task name, logits, embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from data_utils.collator import Batch
from data_utils.encoded_rows import EncodedRows
from data_utils.errors import UserError
from data_utils.formats import Example
from data_utils.inputs import Rows, named_texts, parse_rows
from data_utils.manifest import tokenizer_hash
from data_utils.plugins import import_plugins
from data_utils.registry import choices_hint
from data_utils.task_def import TaskDef
from mt_dnn.devices import choose_device
from mt_dnn.encoders.load import load_encoder
from mt_dnn.encoders.pretrained import load_tokenizer
from mt_dnn.inference.answers import Answer, answer
from mt_dnn.inference.embeddings import Embedder, Pooling, TokenEmbeddings
from mt_dnn.inference.ensemble import Ensemble
from mt_dnn.inference.loop import Precision, Read, map_logits
from mt_dnn.model import MTDNN
from mt_dnn.runs.model_folder import load_heads, model_folder, read_model_facts, read_plugins
from mt_dnn.task_types import Prediction, load_tasks

T = TypeVar("T")


def load(
    run: str | Path | Sequence[str | Path],
    device: Literal["auto", "cuda", "mps", "cpu"] = "cpu",
    *,
    plugins: Sequence[str] = (),
    precision: Precision = "fp32",
) -> Predictor:
    """Load the best model of a finished run, in eval mode and float32.

    Several runs become an :class:`mt_dnn.inference.ensemble.Ensemble`, which averages their logits.

    Args:
        run: a run directory or its ``best`` folder, which may have been moved or copied; or a list of
            these.
        device: auto selects CUDA if available, else MPS, else the CPU.
        plugins: names of the plugins to import first. A run names the plugins that it was trained with, and
            none of them is imported unless it is given here: a folder does not choose which code runs.
        precision: bf16 computes the passes in bfloat16 (autocast), as evaluations of a run with
            ``system.precision: bf16`` do: faster on devices that have it, and rounded more.

    Raises:
        UserError: the run does not exist, it needs a plugin that is not imported, its files do not fit
            together, the device is not available, or the runs of an ensemble differ in tokenizer,
            max_seq_len or the definition of a task.

    Example:
        >>> from mt_dnn import load
        >>> run = load("runs/glue")
        >>> answers = run.predict("rte", [("A dog sleeps.", "An animal sleeps."), ("It rains.", "It snows.")])
        >>> [answer.prediction for answer in answers]
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
    return Predictor(model, tokenizers[0], lengths[0], precision)


def _load(
    run: str | Path, device: str, *, plugins: Sequence[str]
) -> tuple[MTDNN, PreTrainedTokenizerBase, int]:
    folder = model_folder(run)
    config, max_seq_len = read_model_facts(folder)
    needed = read_plugins(folder)
    import_plugins(plugins)
    with torch.random.fork_rng(devices=[]):  # heads are initialised before their weights load
        tokenizer = load_tokenizer(str(folder))
        try:
            tasks = load_tasks(folder / "tasks.yml")
        except UserError as error:
            if not set(needed) - set(plugins):
                raise
            raise UserError(
                f"{error} The run was trained with plugins. If you trust their code, import them: --plugins "
                f"{','.join(needed)}, or load(..., plugins={list(needed)})"
            ) from None
        model = MTDNN(load_encoder(str(folder)), tasks, config, tokenizer)
    load_heads(folder, model, strict=True)
    return model.to(device).eval(), tokenizer, max_seq_len


class Predictor:
    """Predictions, logits and embeddings of rows, in the order of the rows.

    :func:`mt_dnn.load` makes it from a finished run.
    """

    def __init__(
        self,
        model: MTDNN | Ensemble,
        tokenizer: PreTrainedTokenizerBase,
        max_seq_len: int,
        precision: Precision = "fp32",
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.max_seq_len = max_seq_len
        """The run's limit on tokens. A task's own max_seq_len overrides it."""
        self.precision = precision
        """Precision of the passes: fp32 or bf16."""

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

    def predict(
        self, task: str, rows: Rows, batch_size: int = 64, *, text: bool = False
    ) -> list[Answer]:
        """Predict the label of each row, with probabilities.

        Args:
            text: also return the texts of each row.

        Raises:
            UserError: unknown task, or a malformed row; the message names it.
        """
        definition = self.task(task)
        kind = self.model.task_types[definition.name]
        examples = self.examples(task, rows)
        texts = [named_texts(example, definition) if text else None for example in examples]
        predictions = self.decode(task, examples, batch_size)
        return [answer(kind, *pair) for pair in zip(predictions, texts, strict=True)]

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
            (tokens, V) for generated text. The windows of a row of such a task are concatenated;
            those of a task with ``windows`` are merged.
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
        pooling: Pooling = "mean",
        batch_size: int = 64,
        *,
        layer: int = -1,
    ) -> np.ndarray:
        """The shared encoder's hidden states, pooled over the tokens of each row: (n, H) float32.

        Args:
            texts: texts; pairs of texts, which are encoded together; dicts with premise, with premise and
                hypothesis, or with tokens, a list of words. Labels are ignored.
            pooling: cls (the first token), mean or max.
            layer: -1 is the last layer, -2 the one before it, 0 the output of the embeddings.

        Raises:
            UserError: unknown pooling or layer, a malformed row, or an ensemble, which has several encoders.
        """
        return self._embedder(layer, batch_size).pooled(texts, pooling)

    def token_embeddings(
        self, texts: Rows, batch_size: int = 64, *, layer: int = -1
    ) -> list[TokenEmbeddings]:
        """The shared encoder's hidden states at every token of each row, with its place in the row.

        The arguments are those of :meth:`embeddings`.

        Raises:
            UserError: as :meth:`embeddings`.

        Example:
            >>> from mt_dnn import load
            >>> run = load("runs/glue")
            >>> (row,) = run.token_embeddings([("A dog sleeps.", "It rains.")], layer=-2)
            >>> row.tokens[:3], row.offsets[:3]
            (['[CLS]', 'a', 'dog'], [None, (0, 0, 1), (0, 2, 5)])
            >>> row.vectors.shape == (len(row.tokens), run.model.encoder.hidden_size)
            True
        """
        return self._embedder(layer, batch_size).tokens(texts)

    def _embedder(self, layer: int, batch_size: int) -> Embedder:
        if isinstance(self.model, Ensemble):
            raise UserError(
                "embeddings come from one encoder, and an ensemble has several; load a single run"
            )
        return Embedder(
            self.model, self.tokenizer, self.max_seq_len, layer, batch_size, self.precision
        )

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
                results = map_logits(
                    self.model, encoded, read, batch_size=batch_size, precision=self.precision
                )
                found |= zip(own, results, strict=True)
        return [found[i] for i in range(len(examples))]

    def _encode(self, examples: list[Example], task: TaskDef) -> EncodedRows:
        return EncodedRows.from_examples(
            examples, task, self.tokenizer, max_seq_len=self.max_seq_len
        )


def _check_batch_size(batch_size: int) -> None:
    if batch_size < 1:
        raise UserError(f"batch_size: {batch_size}; it must be at least 1")
