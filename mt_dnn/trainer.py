"""The training loop."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from itertools import accumulate, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data_utils.collator import Batch, collate
from data_utils.loader import TrainLoader
from data_utils.registry import UserError
from data_utils.sampler import MultiTaskSampler
from mt_dnn import checkpoint, report
from mt_dnn.assemble import Parts, assemble, resolve_config
from mt_dnn.config import RunConfig
from mt_dnn.console import Progress
from mt_dnn.devices import build_accelerator
from mt_dnn.encoder import load_encoder
from mt_dnn.evaluate import Evaluation, average, evaluate, write_predictions
from mt_dnn.interrupt import StopRequest
from mt_dnn.objective import LossTerms, Objective
from mt_dnn.optim import build_optimizer, freeze, schedule, set_learning_rate
from mt_dnn.run_dir import (
    describe_environment,
    load_heads,
    open_run_dir,
    save_model_folder,
    write_setup,
)
from mt_dnn.tracking import Tracker
from mt_dnn.window import Window


class Trainer:
    """Trains one run: ``Trainer(config).fit()``.

    Raises:
        UserError: from the constructor, for anything the user can mend; nothing is written then.
    """

    def __init__(self, config: RunConfig) -> None:
        self.config = config = resolve_config(config)
        self.accelerator = build_accelerator(config.system)
        self.is_main = self.accelerator.is_main_process
        self.parts: Parts = self._assemble()
        self.model = self.parts.model
        freeze(self.model, config.optim.freeze)
        self.model.to(self.accelerator.device)

        optimizer = build_optimizer(self.model, config.optim, self.accelerator.device)
        self.objective = Objective(self.model, config)
        self.wrapped, self.optimizer = self.accelerator.prepare(self.objective, optimizer)
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.loader = self._build_loader()

        per_epoch = [
            -(-self.loader.sampler.num_batches(epoch) // config.batch.accumulate)
            for epoch in range(config.train.epochs)
        ]
        self.epoch_ends = list(accumulate(per_epoch))
        self.total_steps = min(self.epoch_ends[-1], config.train.max_steps or self.epoch_ends[-1])

        self.run_dir: Path = self._open_run_dir()
        self.tracker = Tracker(self.run_dir, enabled=self.is_main)
        self.step = 0
        self.window = Window(self.accelerator.device)
        self.best: dict[str, Any] | None = None
        self.evaluations_since_best = 0
        self.recent: deque[tuple[int, str, list[str]]] = deque(maxlen=2 * config.train.log_every)
        self.first_bad = torch.tensor(-1, device=self.accelerator.device)
        if config.resume:
            self._resume()
        self.progress = Progress(
            self.total_steps, config.train.epochs, step=self.step, enabled=self.is_main
        )

    # The loop.

    def fit(self) -> dict[str, Any] | None:
        """Train to the end, to early stopping, or to a signal.

        Returns:
            The best model's step, average, scores and baselines; None where there is no dev set.

        Raises:
            UserError: a loss was not finite; the uids of its batch are in the run directory.
            KeyboardInterrupt: stopped by a signal, after saving a checkpoint.
        """
        config = self.config.train
        if self.is_main:
            report.show_setup(
                self.config, self.parts, device=self._device_name(), total=self.total_steps
            )
            report.log_setup(self.tracker, self.config, self.parts)
        with self.tracker, StopRequest() as stop:
            self.clock = time.perf_counter()
            with self.progress:
                for batches in self._updates():
                    self._update(batches)
                    if self._due(config.log_every):
                        self._log()
                    if self._due(config.eval_every):
                        self._evaluate()
                    if stop.received or (config.save_every != 0 and self._due(config.save_every)):
                        self._save()
                    if stop.received:
                        raise KeyboardInterrupt(self._how_to_resume())
                    if self._out_of_patience():
                        break
            return self._finish()

    def _updates(self) -> Iterator[list[Batch]]:
        """The batches of one update after another, to the last update."""
        while self.step < self.total_steps:
            epoch = self.loader.epoch_batches()
            while self.step < self.total_steps:
                batches = list(islice(epoch, self.config.batch.accumulate))
                if not batches:
                    break
                yield batches

    def _update(self, batches: list[Batch]) -> None:
        """One optimizer step on the mean loss of the batches. Never waits for the device."""
        self.model.train()
        factor = schedule(self.step, self.total_steps, self.config.optim)
        set_learning_rate(self.optimizer, factor)
        for index, batch in enumerate(batches):
            last = index == len(batches) - 1
            tokens = int(batch.attention_mask.sum())
            with nullcontext() if last else self.accelerator.no_sync(self.wrapped):
                terms = self.wrapped(batch.to(self.accelerator.device), seed=self._seed(index))
                self.accelerator.backward(terms.total / len(batches))
            self._note(batch, terms, tokens)
        clip = self.config.optim.clip_norm or float("inf")
        norm = self.accelerator.clip_grad_norm_(self.parameters, clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1
        self.window.add("train/grad_norm", norm)
        self.progress.advance(self.step, epoch=self._epoch())

    def _note(self, batch: Batch, terms: LossTerms, tokens: int) -> None:
        """Add up the losses where they are, and remember which batches these were."""
        self.window.count(batch, tokens)
        for name, value in terms.named().items():
            self.window.add(f"train/{batch.task}/{name}", value)
        self.recent.append((self.step, batch.task, batch.uids))
        bad = ~torch.isfinite(terms.total.detach()) & (self.first_bad < 0)
        self.first_bad = torch.where(bad, self.step, self.first_bad)

    def _due(self, every: int | None) -> bool:
        """Whether something done every so many updates (None: once an epoch) is due now."""
        at_end = self.step == self.total_steps
        return at_end or (self.step in self.epoch_ends if not every else self.step % every == 0)

    def _log(self) -> None:
        self._check_finite()
        window, now = self.window, time.perf_counter()
        seconds, self.clock = now - self.clock, now
        world = self.accelerator.num_processes
        speed = {
            "speed/examples_per_second": window.examples * world / seconds,
            "speed/tokens_per_second": window.tokens * world / seconds,
        }
        values = window.read()
        rate = schedule(self.step - 1, self.total_steps, self.config.optim) * self.config.optim.lr
        self.tracker.scalars(self.step, values | {"train/lr": rate})
        self.tracker.timings(self.step, speed)
        losses = {
            task: values[f"train/{task}/loss"]
            for task in self.parts.tasks
            if f"train/{task}/loss" in values
        }
        self.progress.log(
            self.step,
            epoch=self._epoch(),
            losses=losses,
            examples_per_second=speed["speed/examples_per_second"],
        )

    def _evaluate(self) -> None:
        """Score the dev sets; keep the model if the average is the best so far."""
        self._check_finite()
        started = time.perf_counter()
        evaluations = {
            name: evaluate(
                self.model,
                store,
                batch_size=self.config.batch.eval_size,
                accelerator=self.accelerator,
            )
            for name, store in self.parts.dev.items()
        }
        self.clock += time.perf_counter() - started  # the speed is that of training
        mean = average(evaluations) if evaluations else None
        if mean is not None:
            report.log_evaluation(
                self.tracker, self.step, evaluations, mean, self.model.task_types
            )
            self.progress.print(f"step {self.step}: {report.score_line(evaluations, mean)}")
        if self.best is None or mean is None or mean > self.best["average"]:
            self._keep(evaluations, mean)
        else:
            self.evaluations_since_best += 1
        if mean is not None:
            report.log_best(self.tracker, self.step, self.best, self.parts)

    def _keep(self, evaluations: dict[str, Evaluation], mean: float | None) -> None:
        self.evaluations_since_best = 0
        self.best = {
            "step": self.step,
            "average": mean,
            "scores": {name: e.metrics for name, e in evaluations.items()},
            "baselines": {name: e.baseline for name, e in evaluations.items()},
        }
        if not self.is_main:
            return
        save_model_folder(
            self.run_dir / "best",
            model=self.model,
            tokenizer=self.parts.tokenizer,
            config=self.config,
            step=self.step,
            scores=self.best["scores"],
        )
        if self.config.train.predictions:
            for name, evaluation in evaluations.items():
                write_predictions(self.run_dir / "predictions" / f"{name}.jsonl", evaluation)

    def _finish(self) -> dict[str, Any] | None:
        """Predict the test sets with the best model, and show what came of the run."""
        if self.best is None:
            self._evaluate()
        assert self.best is not None
        if self.parts.test and self.config.train.predictions:
            self.accelerator.wait_for_everyone()
            best = self.run_dir / "best"
            self.model.encoder.load_state_dict(load_encoder(str(best)).state_dict())
            load_heads(best, self.model, strict=True)
            for name, store in self.parts.test.items():
                found = evaluate(
                    self.model,
                    store,
                    batch_size=self.config.batch.eval_size,
                    accelerator=self.accelerator,
                )
                if self.is_main:
                    write_predictions(self.run_dir / "predictions" / f"{name}.jsonl", found)
        if self.is_main:
            text = json.dumps(self.best, indent=2)
            (self.run_dir / "scores.json").write_text(text + "\n", encoding="utf-8")
            report.show_results(self.config, self.parts, self.run_dir, self.best)
        self.accelerator.end_training()
        return self.best

    # Saving and resuming.

    def _save(self) -> None:
        self._check_finite()
        if not self.is_main:
            return
        scaler = self.accelerator.scaler
        checkpoint.save_checkpoint(
            self.run_dir,
            step=self.step,
            model=self.model,
            optimizer=self.optimizer,
            teacher=self.objective.teacher_state(),
            keep=self.config.train.keep,
            state={
                "loader": self.loader.state_dict(),
                "window": self.window.state_dict(),
                "best": self.best,
                "evaluations_since_best": self.evaluations_since_best,
                "scaler": scaler.state_dict() if scaler is not None else None,
            },
        )

    def _resume(self) -> None:
        folders = checkpoint.checkpoint_folders(self.run_dir)
        if not folders:
            return
        state, teacher = checkpoint.load_checkpoint(
            folders[-1], model=self.model, optimizer=self.optimizer
        )
        self.objective.load_teacher_state(teacher)
        self.step = state["step"]
        self.loader.load_state_dict(state["loader"])
        self.window.load_state_dict(state["window"])
        self.best = state["best"]
        self.evaluations_since_best = state["evaluations_since_best"]
        if state["scaler"] and self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        self.tracker.truncate_after(self.step)
        if self.is_main:
            print(f"resumed from {folders[-1]}", flush=True)

    def _how_to_resume(self) -> str:
        return (
            f"stopped at update {self.step} of {self.total_steps}, saved; go on with: "
            f"python train.py --config {self.run_dir / 'config.yml'} --resume true"
        )

    # Parts of the constructor.

    def _assemble(self) -> Parts:
        """The main process first, so that the others find the prepared stores."""
        with self.accelerator.main_process_first():
            return assemble(self.config, report=print if self.is_main else lambda line: None)

    def _build_loader(self) -> TrainLoader:
        batch = self.config.batch
        sampler = MultiTaskSampler(
            {name: store.lengths for name, store in self.parts.train.items()},
            batch.size,
            mixing=self.config.mixing,
            epochs=self.config.train.epochs,
            seed=self.config.seed,
            group_by_length=batch.group_by_length,
            pool=batch.pool,
            world_size=self.accelerator.num_processes,
            rank=self.accelerator.process_index,
        )
        return TrainLoader(
            sampler,
            self.parts.train,
            collate=partial(collate, pad_multiple=batch.pad_multiple),
            workers=self.config.system.workers,
            pin_memory=self.accelerator.device.type == "cuda",
        )

    def _open_run_dir(self) -> Path:
        if not self.is_main:
            return Path(self.config.output_dir) / self.config.name
        run_dir = open_run_dir(self.config)
        stores = [*self.parts.train.values(), *self.parts.dev.values(), *self.parts.test.values()]
        environment = describe_environment(
            self._device_name(), torch.get_num_threads(), [store.manifest for store in stores]
        )
        write_setup(run_dir, self.config, self.parts.tasks, environment)
        return run_dir

    # Small facts.

    def _seed(self, index: int) -> int:
        """Of the randomness in one batch of one update, different in every process."""
        key = [self.config.seed, self.step, index, self.accelerator.process_index]
        return int(np.random.SeedSequence(key).generate_state(1)[0])

    def _epoch(self) -> int:
        """Counted from 1."""
        return int(np.searchsorted(self.epoch_ends, self.step)) + 1

    def _out_of_patience(self) -> bool:
        patience = self.config.train.patience
        return patience is not None and self.evaluations_since_best >= patience

    def _device_name(self) -> str:
        device = self.accelerator.device
        if device.type == "cuda":
            name = torch.cuda.get_device_name(device)
        else:
            name = f"{device.type}, {torch.get_num_threads()} threads"
        world = self.accelerator.num_processes
        return name if world == 1 else f"{world} x {name}"

    def _check_finite(self) -> None:
        """Stop if a loss since the last check was not finite, before anything is saved from it."""
        bad = int(self.first_bad)
        if bad < 0:
            return
        batches = [
            {"step": step + 1, "task": task, "uids": uids}
            for step, task, uids in self.recent
            if step == bad
        ]
        path = self.run_dir / "nonfinite_batch.json"
        path.write_text(json.dumps(batches, indent=2) + "\n", encoding="utf-8")
        raise UserError(
            f"the loss of update {bad + 1} is not finite; its batch, task "
            f"{', '.join(sorted({b['task'] for b in batches}))}, is in {path}. The last checkpoint "
            f"and the best model are from before it. Try a lower optim.lr, or system.precision fp32"
        )
