"""Hugging Face's Trainer as a program of the speed benchmark, in a process of its own.

The process has its own accelerate state, which Trainer resets when it starts, and its own imports.
"""

from __future__ import annotations

from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import torch

from data_utils.errors import UserError

GROUPED, RANDOM = "group_by_length", "random"
"""Names of TrainingArguments.train_sampling_strategy."""


@dataclass(frozen=True)
class Job:
    """What the process trains."""

    encoder: str
    store: Path
    """Folder of the prepared training rows."""
    n_class: int
    sampling: str
    precision: str
    device: str
    batch_size: int
    steps: int
    """Updates of a round."""
    rounds: int
    """Number of rounds, warm-up included."""
    compiled: bool = False


class Turns(Protocol):
    """The side of a connection that asks for rounds and gets their results."""

    def send(self, obj: Any, /) -> None: ...

    def recv(self) -> Any: ...


class HFProgram:
    """Train with Hugging Face's Trainer, one round at each call.

    Attributes:
        tokens: number of tokens, without padding, of each round so far.

    Example::

        with HFProgram(job) as program:
            seconds = program(0)
    """

    def __init__(self, job: Job) -> None:
        self.tokens: list[float] = []
        self._job = job

    def __enter__(self) -> HFProgram:
        fresh = get_context("spawn")
        self._turns, theirs = fresh.Pipe()
        threads = torch.get_num_threads()
        self._process = fresh.Process(target=_serve, args=(theirs, self._job, threads))
        self._process.start()
        theirs.close()
        return self

    def __call__(self, _: int) -> float:
        """Train one round; return its seconds."""
        try:
            self._turns.send(None)
            seconds, tokens = self._turns.recv()
        except (EOFError, OSError):
            raise UserError("Hugging Face's Trainer stopped; its error is above") from None
        self.tokens.append(tokens)
        return float(seconds)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._turns.close()
        self._process.join(timeout=60 if error is None else 0)
        if self._process.is_alive():
            self._process.kill()


def _serve(turns: Connection, job: Job, threads: int) -> None:
    from benchmarks.hf_trainer import train  # not in the processes whose memory is measured

    torch.set_num_threads(threads)
    train(turns, job)
