"""The training loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, nullcontext
from itertools import islice
from pathlib import Path
from typing import Any

from accelerate.utils import gather_object
from torch import Tensor

from data_utils.collator import Batch
from mt_dnn.config.bounds import resolve_config
from mt_dnn.config.run import RunConfig
from mt_dnn.devices import build_accelerator
from mt_dnn.inference.evaluate import Evaluation
from mt_dnn.model import MTDNN
from mt_dnn.objective.balance import RhoSchedule
from mt_dnn.objective.objective import Objective
from mt_dnn.randomness import step_seed
from mt_dnn.runs.eval_rows import limited
from mt_dnn.runs.prepare import open_data, select_data
from mt_dnn.runs.run_dir import check_run_dir
from mt_dnn.tracking.cosines import CosineMeans
from mt_dnn.tracking.progress import Progress
from mt_dnn.tracking.smart_health import SmartHealth
from mt_dnn.tracking.tracker import Tracker
from mt_dnn.tracking.trackers import Trackers
from mt_dnn.training import logs, report, saving, scoring
from mt_dnn.training.assemble import BuildModel, build_model, check_start, start_heads
from mt_dnn.training.best import BestModel
from mt_dnn.training.gradients import build_combination, collect_gradients
from mt_dnn.training.meters import Meters
from mt_dnn.training.nonfinite import NonFiniteDetector
from mt_dnn.training.optim import BuildOptimizer, build_optimizer, freeze, set_learning_rate
from mt_dnn.training.schedule import Timeline, check_schedule
from mt_dnn.training.shares import batch_shares
from mt_dnn.training.signals import GracefulShutdown, StopRequested
from mt_dnn.training.task_best import TaskBest

BuildObjective = Callable[[MTDNN, RunConfig], Objective]


class Trainer:
    """One run: ``Trainer(config).fit()``.

    Args:
        config: the configuration, resolved or not.
        build_model: builds the model; called as :func:`mt_dnn.training.assemble.build_model`. The
            Trainer then moves the model to its device and freezes parameters (``optim.freeze``).
        build_objective: called with that model and the configuration.
        build_optimizer: called with the objective and the configuration, as
            :func:`mt_dnn.training.optim.build_optimizer`. The schedule scales the learning rate that
            each parameter group has when it is returned.
        trackers: names or :class:`mt_dnn.tracking.tracker.Tracker` objects; replaces ``trackers`` of
            the configuration.

    Raises:
        UserError: from the constructor, before training starts: an error in the configuration, the
            tasks, the data or the encoder.

    Example:
        >>> from mt_dnn import RunConfig, Trainer
        >>> from mt_dnn.config.run import DataConfig, TrainConfig
        >>> data = DataConfig(tasks="tasks.yml", data_dir="data", max_seq_len=128)
        >>> config = RunConfig(name="mine", data=data, train=TrainConfig(epochs=1), smart="smart")
        >>> best = Trainer(config).fit()  # prints its progress; the model is in runs/mine/best
        >>> sorted(best["scores"])
        ['rte', 'sst']
    """

    def __init__(
        self,
        config: RunConfig,
        *,
        build_model: BuildModel = build_model,
        build_objective: BuildObjective = Objective.from_config,
        build_optimizer: BuildOptimizer = build_optimizer,
        trackers: Iterable[str | Tracker] | None = None,
    ) -> None:
        self.config = config = resolve_config(config)
        self.accelerator = build_accelerator(config.system)
        self.device = self.accelerator.device
        self.is_main = self.accelerator.is_main_process
        self.run_dir = Path(config.output_dir) / config.name
        trackers = config.trackers if trackers is None else trackers
        self.tracker = Trackers(
            self.run_dir, trackers, config.tracker_options, enabled=self.is_main
        )
        combination = build_combination(config.optim)
        check_schedule(config.optim)
        if self.is_main:
            check_run_dir(config)
        check_start(config.model)
        log = print if self.is_main else lambda line: None
        # All parts are built before rows are tokenized, so that a wrong setting is found at once.
        with self.accelerator.main_process_first():  # the others find the downloaded files
            selection = select_data(config, log)
            self.config = config = selection.config  # max_seq_len is that of the encoder
            saving.check_resume(config, selection.tasks, self.run_dir)
            model = build_model(config, selection.tasks, selection.tokenizer, log)
        self.model = model.to(self.device).train()
        freeze(self.model, config.optim.freeze)
        self.objective = build_objective(self.model, config)
        self.parameters = [p for p in self.objective.parameters() if p.requires_grad]
        optimizer = build_optimizer(self.objective, config)
        self.task_gradients = collect_gradients(
            self.model.encoder, combination, compared=config.train.gradient_cosines
        )
        with self.accelerator.main_process_first():  # the others find the prepared stores
            self.data = open_data(selection, log)
        start_heads(self.model, self.data.train)
        self.objective.before_training()
        self.wrapped, self.optimizer = self.accelerator.prepare(self.objective, optimizer)
        self.loader = self.data.loader(
            world_size=self.accelerator.num_processes,
            rank=self.accelerator.process_index,
            pin_memory=self.device.type == "cuda",
        )
        self.timeline = Timeline(config, self.loader.sampler)
        self.total_steps = self.timeline.total

        self.meters = Meters(self.device)
        every = config.smoothness.balance_every
        assert every is not None
        self.rho_schedule = RhoSchedule(self.timeline.warmup, every)
        self.smart_health = SmartHealth()
        self.cosines = CosineMeans()
        history = 2 * config.train.log_every * (config.batch.accumulate + 1)
        self.nonfinite = NonFiniteDetector(self.device, self.run_dir, history=history)
        self.step = 0
        self.skipped = 0
        """Updates that fp16's scaler skipped, because a gradient was not finite."""
        self.selection = BestModel(config.train.patience, self.data)
        self.task_best = TaskBest()
        self.watched = limited(self.data.dev, config.data.eval_limit, config.seed)
        """What evaluations during training predict: the dev sets, or a part of their rows."""
        self.best_evaluations: dict[str, Evaluation] = {}
        """Evaluations of the best model on all rows of a data set, as far as this process has them."""
        self.shutdown = GracefulShutdown()
        self.saved_step: int | None = None
        """Update of the newest checkpoint."""
        self.saved_best: int | None = None
        """Update of the best model that the newest checkpoint names."""
        self.owes_evaluation = False
        """Whether the evaluation after the last update is still to be done."""
        self.unlock: Callable[[], Any] = lambda: None
        """Release the lock of the run directory."""
        self.fingerprint: dict[str, Any] = {}
        """What a resumed run is compared with."""
        saving.open_run(self)
        self.progress = Progress(
            self.total_steps,
            config.train.epochs,
            step=self.step,
            enabled=self.is_main,
            work=scoring.evaluation_work(self),
        )

    def fit(self) -> dict[str, Any]:
        """Train until the last update, early stopping, or a signal.

        Returns:
            The content of scores.json: the best model's step, average, scores, baselines and losses.

        Raises:
            UserError: a loss or gradient was non-finite; the run directory has the batch's uids.
            KeyboardInterrupt: stopped by a signal, after saving a checkpoint; or stopped at once by a
                second signal.
        """
        if self.is_main:
            report.show_setup(
                self.config, self.data, self.objective, self.total_steps, self.accelerator
            )
            logs.log_setup(self.tracker, self.config, self.data, self.objective)
        with self.tracker, self.shutdown, closing(self):
            self.clock = time.perf_counter()
            try:
                with self.progress:
                    self._train()
                return scoring.finish(self)
            except StopRequested:
                saving.save(self)
                raise KeyboardInterrupt(saving.how_to_resume(self)) from None

    def _train(self) -> None:
        """Do all updates, with what is due after each of them.

        Raises:
            StopRequested: a signal has arrived; a checkpoint is to be saved.
        """
        config = self.config.train
        if self.owes_evaluation:  # a signal interrupted it
            scoring.evaluate_dev(self)
        for batches in self.updates():
            self.update(batches)
            if self._due(config.log_every):
                logs.log_interval(self)
            if self._due(config.eval_every):
                scoring.evaluate_dev(self)
            if self._agree(self.shutdown.signal_number is not None):
                raise StopRequested
            if config.save_every != 0 and self._due(config.save_every):
                saving.save(self)
            if self.selection.out_of_patience:
                break

    @property
    def best(self) -> dict[str, Any] | None:
        """Step, average, scores, baselines and losses of the best model; None before the first
        evaluation."""
        return self.selection.record

    def updates(self) -> Iterator[list[Batch]]:
        """Yield the batches of each update, until the last update or early stopping."""
        while self.step < self.total_steps and not self.selection.out_of_patience:
            epoch = iter(self.loader)
            while batches := list(islice(epoch, self.config.batch.accumulate)):
                yield batches
                if self.step >= self.total_steps:
                    return

    def update(self, batches: list[Batch]) -> None:
        """Do one optimizer step on the mean loss of the batches, without waiting for the device.

        Within a task, all labelled units weigh the same (:func:`mt_dnn.training.shares.batch_shares`).
        """
        set_learning_rate(self.optimizer, self.timeline.rate(self.step))
        progress = self.step / self.total_steps
        rank = self.accelerator.process_index
        seeds = [step_seed(self.config.seed, self.step, i, rank) for i in range(len(batches))]
        shares = batch_shares(batches, self.model.task_types, seeds, self.accelerator)
        for index, (batch, seed, share) in enumerate(zip(batches, seeds, shares, strict=True)):
            # Measure once per task and log interval only, because it costs a forward pass.
            measure = self.meters.batches[batch.task] == 0
            self.meters.count(batch)
            # Processes average their gradients once per update, or per batch to compare the tasks'.
            averaged = index == len(batches) - 1 or self.task_gradients is not None
            with nullcontext() if averaged else self.accelerator.no_sync(self.wrapped):
                terms = self.wrapped(
                    batch.to(self.device),
                    seed=seed,
                    progress=progress,
                    measure=measure,
                    measure_rho=self.rho_schedule.due(self.step, batch.task),
                )
                self.accelerator.backward(terms.total * share / len(batches))
            if self.task_gradients is not None:
                self.task_gradients.take(batch.task)
            self.nonfinite.note(self.step, batch, terms.total)
            for tag, value in terms.named(batch.task).items():
                self.meters.add(tag, value, share)
        figures: dict[str, Tensor] = {}
        if self.task_gradients is not None:
            figures = self.task_gradients.put(
                step_seed(self.config.seed, self.step, len(batches)),
                scaled=self.accelerator.scaler is not None,
            )
        clip = self.config.optim.clip_norm or float("inf")
        trained = [p for p in self.parameters if p.grad is not None]  # not the other tasks' heads
        norm = self.accelerator.clip_grad_norm_(trained, clip)
        if self.accelerator.scaler is None:  # with fp16 the scaler skips non-finite steps
            self.nonfinite.note(self.step, batches[-1], norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1
        if self.accelerator.optimizer_step_was_skipped:
            self.skipped += 1
        else:
            self.meters.add("train/grad_norm", norm)
            if self.task_gradients is None and len({batch.task for batch in batches}) == 1:
                figures = {f"train/{batches[0].task}/grad_norm": norm}
            for tag, value in figures.items():
                self.meters.add(tag, value)
            self.objective.after_update(self.step - self.skipped, self.total_steps)
        self.progress.advance(self.step, epoch=self.timeline.epoch(self.step))

    def close(self) -> None:
        """Leave the process group. Training is not possible afterwards."""
        if self.accelerator.num_processes > 1:
            # Free the wrapper first. If its destructor destroyed the process group while holding
            # Python's lock, it could deadlock with a gloo thread that waits for that lock.
            (self.wrapped,) = self.accelerator.free_memory(self.wrapped)
        self.accelerator.end_training()
        self.unlock()

    def _agree(self, stop: bool) -> bool:
        """Whether to stop now.

        A signal reaches several processes at different updates, and a process that stopped alone would
        leave the others waiting. They therefore agree at log points.
        """
        if self.accelerator.num_processes == 1:
            return stop
        return self._due(self.config.train.log_every) and any(gather_object([stop]))

    def _due(self, every: int | None) -> bool:
        return self.timeline.due(self.step, every)
