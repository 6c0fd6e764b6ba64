"""A finished run as something to ask: predictions by task name, logits, embeddings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from data_utils.collator import Batch, make_batch
from data_utils.errors import UserError
from data_utils.formats import FORMATS, Example
from data_utils.inputs import as_row, parse_row, without_label
from data_utils.manifest import tokenizer_hash
from data_utils.registry import choices_hint
from data_utils.task_def import TaskDef
from data_utils.token_table import TokenTable, tokenize
from mt_dnn.devices import choose_device
from mt_dnn.encoders.encoder import load_encoder
from mt_dnn.encoders.pretrained import load_tokenizer
from mt_dnn.heads.pooled import pool
from mt_dnn.inference.ensemble import Ensemble
from mt_dnn.inference.evaluate import by_example, ordered_batches
from mt_dnn.model import MTDNN
from mt_dnn.runs.run_dir import load_heads, model_folder, read_model_facts
from mt_dnn.task_types import Prediction, TaskType, load_tasks

T = TypeVar("T")
Rows = Iterable[Any]
"""Texts, tuples of texts, dicts by column name, or parsed Examples. A label is not needed."""

# A text on its own; what does not concern a head is never looked at.
TEXT = TaskDef("text", "PremiseOnly", "", n_class=1, metrics=(), metric_for_best="")


@dataclass(frozen=True)
class Answer:
    """What the model says of one row, in the words of its task."""

    uid: str
    """The row's own, else its position."""
    label: Any
    """Label word (id where the task has no words), number, or one label per candidate."""
    scores: Any
    """Label -> probability; the number itself; or the probability of each candidate."""
    gold: Any = None
    """The row's label in the form of ``label``, where it had one."""


def load(
    run: str | Path | Sequence[str | Path],
    device: Literal["auto", "cuda", "mps", "cpu"] = "cpu",
) -> Predictor:
    """The best model of a finished run, in eval mode and float32; of several runs, the mean of their
    logits (:class:`mt_dnn.inference.ensemble.Ensemble`).

    Args:
        run: a run directory, or its ``best`` folder wherever that has gone; or a list of them.
        device: auto takes CUDA, else MPS, else the CPU.

    Raises:
        UserError: no such run, its files do not fit together, or no such device; runs that do not read
            the same tokens or do not answer the same question.
    """
    runs = [run] if isinstance(run, (str, Path)) else list(run)
    if not runs:
        raise UserError("there is no run to load")
    where = choose_device(device)
    models, tokenizers, lengths = zip(*(_load(one, where) for one in runs), strict=True)
    for name, tokenizer, length in zip(runs[1:], tokenizers[1:], lengths[1:], strict=True):
        if tokenizer_hash(tokenizer) != tokenizer_hash(tokenizers[0]):
            raise UserError(
                f"{name} has another tokenizer than {runs[0]}; an ensemble reads the same tokens"
            )
        if length != lengths[0]:
            raise UserError(
                f"{name} was trained with max_seq_len {length} and {runs[0]} with {lengths[0]}; an "
                f"ensemble reads the same tokens"
            )
    whole = models[0] if len(runs) == 1 else Ensemble(models, [str(one) for one in runs]).eval()
    return Predictor(whole, tokenizers[0], lengths[0])


def _load(run: str | Path, where: str | torch.device) -> tuple[MTDNN, PreTrainedTokenizerBase, int]:
    folder = model_folder(run)
    config, max_seq_len = read_model_facts(folder)
    with torch.random.fork_rng(devices=[]):  # heads are drawn before they are read
        tokenizer = load_tokenizer(str(folder))
        tasks = load_tasks(folder / "tasks.yml")
        model = MTDNN(load_encoder(str(folder)), tasks, config, tokenizer)
    load_heads(folder, model, strict=True)
    return model.to(where).eval(), tokenizer, max_seq_len


class Predictor:
    """Asks a model about rows; answers come in the order of the rows.

    Example:
        >>> predictor = mt_dnn.load("runs/glue")
        >>> predictor.predict("rte", [("A dog sleeps.", "An animal sleeps.")])[0].label
        'entailment'
    """

    def __init__(
        self, model: MTDNN | Ensemble, tokenizer: PreTrainedTokenizerBase, max_seq_len: int
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.max_seq_len = max_seq_len
        """Of the run; a task's own goes before it."""

    @property
    def tasks(self) -> dict[str, TaskDef]:
        return self.model.tasks

    def task(self, name: str) -> TaskDef:
        """Raises UserError where there is no such task; lists those there are."""
        if name not in self.tasks:
            who = "not every run has" if isinstance(self.model, Ensemble) else "the run has no"
            raise UserError(f"{who} task {name!r}.{choices_hint(name, self.tasks)}")
        return self.tasks[name]

    def add_task(self, task: TaskDef) -> None:
        """As :meth:`mt_dnn.model.MTDNN.add_task`."""
        self.model.add_task(task, self.tokenizer)

    def predict(self, task: str, rows: Rows, batch_size: int = 64) -> list[Answer]:
        """Each row's label and its probabilities.

        Raises:
            UserError: unknown task, or a malformed row; says which.
        """
        definition = self.task(task)
        kind = self.model.task_types[definition.name]
        return [answer(kind, p) for p in self.decode(task, rows, batch_size)]

    def decode(self, task: str, rows: Rows, batch_size: int = 64) -> list[Prediction]:
        """As :meth:`predict`, with class ids instead of words: what metrics take."""
        kind = self.model.task_types[self.task(task).name]

        def compute(batch: Batch) -> list[Prediction]:
            return kind.decode(self._logits(batch), batch.to("cpu"))

        found = self._each(self.examples(task, rows), self.task(task), compute, batch_size)
        return [kind.merge(windows) for windows in found]

    def logits(self, task: str, rows: Rows, batch_size: int = 64) -> np.ndarray | list[np.ndarray]:
        """What the task's head gives: (n, C) float32, such as a student can be distilled from.

        Rows with candidates give one array (K,) each, as K differs, rows of words (words, C), NaN where
        a word was cut off, and texts that are written (tokens, V). Rows that were cut into windows give
        theirs one under the other.
        """
        definition = self.task(task)
        kind = self.model.task_types[definition.name]

        def compute(batch: Batch) -> list[np.ndarray]:
            return [row.numpy() for row in kind.unpadded(self._logits(batch), batch.to("cpu"))]

        found = self._each(self.examples(task, rows), definition, compute, batch_size)
        arrays = [own[0] if len(own) == 1 else np.concatenate(own) for own in found]
        per_example = FORMATS.get(definition.data_format).label_per == "example"
        if not per_example or definition.label_form == "text":  # rows of unequal length
            return arrays
        return np.stack(arrays) if arrays else np.empty((0, definition.n_class), np.float32)

    def embeddings(
        self,
        texts: Rows,
        pooling: Literal["cls", "mean", "max"] = "mean",
        batch_size: int = 64,
    ) -> np.ndarray:
        """The shared encoder's last hidden states, pooled over each text: (n, H) float32."""
        model = self.model
        if isinstance(model, Ensemble):
            raise UserError("embeddings are those of one encoder; ask one run")
        if pooling not in ("cls", "mean", "max"):
            raise UserError(
                f"unknown pooling {pooling!r}.{choices_hint(pooling, ('cls', 'mean', 'max'))}"
            )

        def compute(batch: Batch) -> list[np.ndarray]:
            hidden = model.encode(model.embed(batch), batch)  # (B, T, H)
            return list(pool(hidden, batch.attention_mask, pooling).float().cpu().numpy())

        rows = (as_row(text, TEXT, i) for i, text in enumerate(_listed(texts)))
        examples = [parse_row(without_label(row), TEXT) for row in rows]
        found = self._each(examples, TEXT, compute, batch_size)
        width = model.encoder.hidden_size
        return np.concatenate(found) if found else np.empty((0, width), np.float32)

    def examples(self, task: str, rows: Rows) -> list[Example]:
        """The rows parsed by the task's data format, which the other methods do first."""
        definition = self.task(task)
        return [
            row if isinstance(row, Example) else parse_row(as_row(row, definition, i), definition)
            for i, row in enumerate(_listed(rows))
        ]

    def _logits(self, batch: Batch) -> Tensor:
        return self.model.infer(batch).float().cpu()

    @torch.inference_mode()
    def _each(
        self,
        examples: list[Example],
        task: TaskDef,
        compute: Callable[[Batch], list[T]],
        batch_size: int,
    ) -> list[list[T]]:
        """``compute`` of batches of like length: each example's entries, one for each of its windows."""
        if batch_size < 1:
            raise UserError(f"batch_size: {batch_size}; it must be at least 1")
        device = next(self.model.parameters()).device
        found: dict[int, list[T]] = {}
        for labelled in (True, False):  # a batch has labels or has none
            own = [i for i, e in enumerate(examples) if (e.label is not None) == labelled]
            if not own:
                continue
            table, _ = tokenize(
                [examples[i] for i in own], task, self.tokenizer, max_seq_len=self.max_seq_len
            )
            tokens = TokenTable(table)
            pieces: dict[int, T] = {}
            for chunk in ordered_batches(tokens.lengths, batch_size):
                batch = make_batch(
                    tokens.take(chunk),
                    task=task.name,
                    pad_token_id=int(self.tokenizer.pad_token_id or 0),
                )
                if task.name in self.model.task_types:
                    batch = self.model.task_types[task.name].prepare(batch, 0)
                pieces |= zip(chunk, compute(batch.to(device)), strict=True)
            ordered = [pieces[i] for i in range(len(tokens))]
            found |= zip(own, by_example(ordered, tokens.columns.get("window")), strict=True)
        return [found[i] for i in range(len(examples))]


def answer(kind: TaskType, prediction: Prediction) -> Answer:
    """A prediction in the task's own words."""
    label, gold = (
        None if value is None else kind.in_words(value)
        for value in (prediction.value, prediction.gold)
    )
    return Answer(prediction.uid, label, kind.named_scores(prediction.scores), gold)


def _listed(rows: Rows) -> Rows:
    """The rows, unless they are one that was not put in a list: its letters would be rows."""
    if isinstance(rows, (str, dict)):
        raise UserError("rows: one row was given; put it in a list")
    return rows
