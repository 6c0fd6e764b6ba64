"""Train with Hugging Face's Trainer in rounds.

``Trainer.train`` is one loop from the first update to the last. A callback stops it after the updates
of a round, until the benchmark asks for the next round.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Sampler
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from benchmarks.hf_program import GROUPED, Job, Turns
from data_utils.collator import collate
from data_utils.store import TaskStore
from mt_dnn.encoders.pretrained import quiet, resolve_encoder

MAX_ROWS = 20_000
"""Rows that are handed to the process; enough for many epochs of a benchmark."""


def train(turns: Turns, job: Job) -> None:
    """Train all rounds, each when ``turns`` asks for it; send its seconds and tokens."""
    encoder = resolve_encoder(job.encoder)
    with quiet(), tempfile.TemporaryDirectory() as output:
        model = AutoModelForSequenceClassification.from_pretrained(
            encoder, num_labels=job.n_class, dtype=torch.float32
        )
        arguments = TrainingArguments(
            output_dir=output,
            per_device_train_batch_size=job.batch_size,
            max_steps=job.rounds * job.steps,
            warmup_steps=0.1,
            train_sampling_strategy=job.sampling,
            remove_unused_columns=False,  # the rows have no others: one call less for each batch
            bf16=job.precision == "bf16",
            torch_compile=job.compiled,
            use_cpu=job.device == "cpu",
            dataloader_pin_memory=job.device == "cuda",
            logging_strategy="no",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        trainer = _Trainer(
            model=model,
            args=arguments,
            train_dataset=token_rows(job.store),
            processing_class=AutoTokenizer.from_pretrained(encoder),
        )
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(_Rounds(trainer, turns, job))
        trainer.train()


def token_rows(store: Path) -> list[dict[str, Any]]:
    """The prepared rows as a user of Trainer has them: lists of ids, and a label."""
    rows, stored = [], TaskStore(store)
    for index in range(min(len(stored), MAX_ROWS)):
        batch = collate(stored, [index])
        assert batch.labels is not None
        row = {"input_ids": batch.input_ids[0].tolist(), "labels": int(batch.labels[0])}
        if batch.token_type_ids is not None:
            row["token_type_ids"] = batch.token_type_ids[0].tolist()
        rows.append(row)
    return rows


class ShuffledBatches(Sampler[int]):
    """The batches of a sampler in random order, an incomplete last one at the end.

    Trainer's sampler by length draws up to 50 batches, and goes from the long ones to the short ones.
    In that order the rounds of a benchmark would differ. The batches themselves are unchanged.
    """

    def __init__(self, sampler: Sampler[int], size: int, *, seed: int = 0) -> None:
        self.sampler = sampler
        self.size = size
        self._random = random.Random(seed)

    def __len__(self) -> int:
        return len(self.sampler)  # type: ignore[arg-type]  # those of Trainer have a length

    def __iter__(self) -> Iterator[int]:
        order = list(self.sampler)
        whole = len(order) // self.size * self.size
        batches = [order[i : i + self.size] for i in range(0, whole, self.size)]
        self._random.shuffle(batches)
        for batch in [*batches, order[whole:]]:
            yield from batch


class _Trainer(Trainer):
    """Trainer that counts tokens, and takes its batches by length in random order."""

    tokens: Tensor | float = 0.0

    def training_step(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Tensor:
        self.tokens = self.tokens + inputs["attention_mask"].sum()  # no wait for the device
        return super().training_step(model, inputs, *args, **kwargs)

    def _get_train_sampler(self, *args: Any, **kwargs: Any) -> Any:
        sampler = super()._get_train_sampler(*args, **kwargs)
        assert sampler is not None  # the rows have a length
        if self.args.train_sampling_strategy != GROUPED:
            return sampler
        return ShuffledBatches(sampler, self.args.train_batch_size)


class _Rounds(TrainerCallback):
    """Wait before each round, and send its result."""

    def __init__(self, trainer: _Trainer, turns: Turns, job: Job) -> None:
        self.trainer = trainer
        self.turns = turns
        self.job = job
        self.start = 0.0

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.wait()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step % self.job.steps:
            return
        self.synchronize()
        seconds = time.perf_counter() - self.start
        self.turns.send((seconds, float(self.trainer.tokens)))
        if state.global_step < state.max_steps:
            self.wait()

    def wait(self) -> None:
        self.turns.recv()
        self.trainer.tokens = 0.0
        self.synchronize()
        self.start = time.perf_counter()

    def synchronize(self) -> None:
        if self.job.device != "cpu":
            getattr(torch, self.job.device).synchronize()
