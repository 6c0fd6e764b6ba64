"""Interrupt a run, and compare two runs bit by bit."""

from __future__ import annotations

import os
import signal

import pytest
import torch

from data_utils.collator import Batch
from mt_dnn.config.run import RunConfig
from mt_dnn.training.trainer import Trainer


def stop_after(
    monkeypatch: pytest.MonkeyPatch, updates: int, *, number: int = signal.SIGTERM
) -> None:
    """Send this process a signal right after that many updates of the next run."""
    update = Trainer.update

    def and_signal(self: Trainer, batches: list[Batch]) -> None:
        update(self, batches)
        if self.step == updates:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(Trainer, "update", and_signal)


def interrupted(monkeypatch: pytest.MonkeyPatch, config: RunConfig, updates: int) -> str:
    """Stop the run by a signal after so many updates; its last message."""
    with monkeypatch.context() as patch:
        stop_after(patch, updates)
        with pytest.raises(KeyboardInterrupt) as stopped:
            Trainer(config).fit()
    return str(stopped.value)


def tensors(trainer: Trainer) -> dict[str, torch.Tensor]:
    """Weights, optimizer state and state of the loss terms."""
    state = trainer.optimizer.state_dict()["state"]
    return {
        **{f"model/{name}": t for name, t in trainer.model.state_dict().items()},
        **{f"terms/{name}": t for name, t in trainer.objective.terms_state().items()},
        **{
            f"optimizer/{index}/{name}": t
            for index, entry in state.items()
            for name, t in entry.items()
        },
    }


def assert_equal_runs(one: Trainer, other: Trainer) -> None:
    mine, theirs = tensors(one), tensors(other)
    assert mine.keys() == theirs.keys()
    for name, tensor in mine.items():
        assert torch.equal(tensor, theirs[name]), name
    assert metrics(one) == metrics(other)
    assert (one.step, one.best) == (other.step, other.best)


def metrics(trainer: Trainer) -> bytes:
    return (trainer.run_dir / "metrics.jsonl").read_bytes()
