"""Whole runs: what is the same as what, to the bit or to rounding, and what a step never reads."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from data_utils.errors import UserError
from mt_dnn.config.parser import parse_config
from mt_dnn.config.run import RunConfig
from mt_dnn.randomness import step_seed
from mt_dnn.runs.prepare import prepare
from mt_dnn.training.assemble import build_model, start_heads
from mt_dnn.training.trainer import Trainer
from tests.support.runs import assert_same_weights, logged, run

pytestmark = pytest.mark.usefixtures("no_pictures")


def plain_loop(config: RunConfig) -> tuple[dict[str, Tensor], list[float]]:
    """Final weights and losses of a loop that has never heard of SMART, accelerate or Trainer."""
    data = prepare(config)
    config = data.config
    model = build_model(config, data.tasks, data.tokenizer, print).train()
    start_heads(model, data.train)
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim == 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}],
        lr=config.optim.lr,
        fused=True,
    )
    loader = data.loader()
    total = config.train.epochs * loader.sampler.num_batches(0)
    warmup, losses = round(0.1 * total), []
    for _ in range(config.train.epochs):
        for batch in loader:
            step = len(losses)
            factor = (
                (step + 1) / warmup if step < warmup else 1 - (step - warmup) / (total - warmup)
            )
            for group in optimizer.param_groups:
                group["lr"] = config.optim.lr * factor
            torch.manual_seed(step_seed(config.seed, step, 0, 0))
            logits = model(batch)
            if batch.task == "pair":
                loss = F.cross_entropy(logits, batch.labels)
            elif batch.task == "score":
                loss = (logits - batch.labels[:, None]).square().mean()
            else:
                loss = model.task_types["pick"].loss(logits, batch)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
    return model.state_dict(), losses


def test_off_is_plain_training_bit_for_bit(tiny_config):
    """So are a preset with both weights at 0, and a run that logs and evaluates at other times."""
    weights, losses = plain_loop(tiny_config())
    off = run(tiny_config(name="off"))
    zero = run(
        tiny_config(
            name="zero",
            smart="smart",
            smoothness={"weight": 0.0},
            proximal={"weight": 0.0},
            train={"log_every": 7, "eval_every": 5, "save_every": 3},
        )
    )
    assert_same_weights(off.model.state_dict(), weights)
    assert_same_weights(zero.model.state_dict(), weights)
    mine = {
        step: value
        for t in off.data.tasks
        for step, value in logged(off, f"train/{t}/loss").items()
    }
    assert mine == dict(enumerate(losses, start=1))


def gradients_at_step(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> list[Tensor | None]:
    """Run one update; the gradients that the optimizer was given."""
    seen: list[Tensor | None] = []
    monkeypatch.setattr(
        trainer.optimizer,
        "step",
        lambda: seen.extend(None if p.grad is None else p.grad.clone() for p in trainer.parameters),
    )
    trainer.update(next(trainer.updates()))
    return seen


@pytest.mark.parametrize("smart", ["off", "smart"])
def test_accumulation_is_the_mean_of_the_batches_gradients(tiny_config, monkeypatch, smart):
    config = tiny_config(smart=smart, batch={"accumulate": 2}, optim={"clip_norm": 0.0})
    trainer = Trainer(config)
    first, second = next(Trainer(tiny_config(name="b", batch={"accumulate": 2})).updates())
    expected: list[Tensor | None] = [None] * len(trainer.parameters)
    trainer.model.train()
    for index, batch in enumerate((first, second)):
        loss = trainer.objective(batch, seed=step_seed(config.seed, 0, index, 0)).total
        parts = torch.autograd.grad(loss, trainer.parameters, allow_unused=True)
        expected = [
            e if g is None else g / 2 if e is None else e + g / 2
            for e, g in zip(expected, parts, strict=True)
        ]
    found = gradients_at_step(trainer, monkeypatch)
    for mine, theirs in zip(found, expected, strict=True):
        assert (mine is None) == (theirs is None)
        if mine is not None:
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-7)


def test_the_gradient_is_clipped_with_smart_on(tiny_config, monkeypatch):
    trainer = Trainer(tiny_config(smart="smart", optim={"clip_norm": 1e-3}))
    found = gradients_at_step(trainer, monkeypatch)
    norm = torch.linalg.vector_norm(torch.cat([g.flatten() for g in found if g is not None]))
    assert norm == pytest.approx(1e-3, rel=1e-2)
    assert trainer.meters.read()["train/grad_norm"] > 1e-2  # logged as it was before


def test_gradient_checkpointing_changes_no_loss(tiny_config):
    """With dropout: the recomputed passes draw the same masks."""
    plain, recomputed = (
        run(
            tiny_config(
                name=str(on),
                smart="smart",
                model={"gradient_checkpointing": on},
                train={"max_steps": 6},
            )
        )
        for on in (False, True)
    )
    for task in plain.data.tasks:
        tag = f"train/{task}/loss"
        assert logged(recomputed, tag) == pytest.approx(logged(plain, tag), rel=1e-5)


def test_the_written_configuration_runs_it_again(tiny_config):
    first = run(tiny_config(name="first", smart="smart", train={"max_steps": 5}, overwrite=True))
    path = str(first.run_dir / "config.yml")
    again = run(parse_config(["--config", path, "--name", "again"]))
    assert_same_weights(again.model.state_dict(), first.model.state_dict())
    metrics = [trainer.run_dir / "metrics.jsonl" for trainer in (first, again)]
    assert metrics[0].read_bytes() == metrics[1].read_bytes()
    with pytest.raises(UserError, match="holds a run already"):
        Trainer(parse_config(["--config", path]))


def test_a_step_never_waits_for_the_device(tiny_config, monkeypatch):
    """No float or bool tensor is read while updating; the host's own integers may be."""
    trainer = Trainer(tiny_config(smart="smart", batch={"accumulate": 2}, train={"log_every": 50}))
    updates = trainer.updates()
    read: list[str] = []

    def watch(name: str) -> None:
        original = getattr(Tensor, name)

        def method(self: Tensor, *args: Any, **kwargs: Any) -> Any:
            if self.dtype != torch.int64:
                read.append(name)
            return original(self, *args, **kwargs)

        monkeypatch.setattr(Tensor, name, method)

    for name in ("item", "tolist", "cpu", "numpy", "__bool__", "__float__", "__int__", "__array__"):
        watch(name)
    for _ in range(4):
        trainer.update(next(updates))
    assert read == []
    trainer.meters.read()
    assert read == ["tolist"]  # so the watch works
