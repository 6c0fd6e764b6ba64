"""Evaluations of a run: on the dev sets, and with the best model at the end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor

from data_utils import strict_json
from data_utils.files import remove, write_text
from data_utils.store import StoreSubset, TaskStore
from mt_dnn.inference.evaluate import Evaluation, average_score, evaluate, write_predictions
from mt_dnn.runs.model_folder import load_best, save_model_folder
from mt_dnn.training import checkpoint, logs, report
from mt_dnn.training.signals import StopRequested

if TYPE_CHECKING:
    from mt_dnn.training.trainer import Trainer


def evaluate_dev(trainer: Trainer) -> None:
    """Evaluate on the dev sets; save the model if it is the best so far or unscored."""
    trainer.nonfinite.check()
    trainer.owes_evaluation = True
    started = time.perf_counter()
    evaluations = _predict(trainer, trainer.data.dev)
    trainer.owes_evaluation = False
    trainer.clock += time.perf_counter() - started  # exclude evaluation from the speed
    mean = average_score(evaluations)
    if trainer.selection.offer(trainer.step, evaluations, mean):
        trainer.owes_predictions = False  # in all processes, which predict together
        _keep_best(trainer, evaluations)
    if mean is not None:
        kinds, best = trainer.model.task_types, trainer.best
        assert best is not None
        logs.log_evaluation(trainer.tracker, trainer.step, evaluations, mean, kinds)
        logs.log_best(trainer.tracker, trainer.step, best, trainer.data)
        trainer.progress.print(f"step {trainer.step}: {report.score_line(evaluations, mean)}")
        for line in report.constant_predictions(evaluations):
            trainer.progress.print(line)


def _keep_best(trainer: Trainer, evaluations: dict[str, Evaluation]) -> None:
    """Write ``best/`` and its predictions; only the main process does."""
    if not trainer.is_main:
        return
    remove(trainer.run_dir / "scores.json")  # of the model that is replaced
    save_model_folder(
        trainer.run_dir / "best",
        model=trainer.model,
        tokenizer=trainer.data.tokenizer,
        config=trainer.config,
        step=trainer.step,
        scores={name: evaluation.metrics for name, evaluation in evaluations.items()},
        keep_as=checkpoint.keep_best_as(trainer.run_dir, trainer.saved_best),
    )
    _write_predictions(trainer, evaluations)


def finish(trainer: Trainer) -> dict[str, Any]:
    """Predict the test sets with the best model, and report the results."""
    if trainer.best is None:
        evaluate_dev(trainer)
    assert trainer.best is not None
    stores = {**(trainer.data.dev if trainer.owes_predictions else {}), **trainer.data.test}
    if stores and trainer.config.train.predictions:
        weights = _load_best(trainer)
        try:
            evaluations = _predict(trainer, stores)
        except StopRequested:
            if weights:
                trainer.model.load_state_dict(weights)
            raise
        _write_predictions(trainer, evaluations)
        if weights and not trainer.data.test:
            trainer.model.load_state_dict(weights)
    if trainer.is_main:
        best = trainer.best
        write_text(trainer.run_dir / "scores.json", strict_json.dumps(best, indent=2) + "\n")
        report.show_results(
            trainer.config, trainer.data, trainer.run_dir, best, trainer.smart_health
        )
    return trainer.best


def _load_best(trainer: Trainer) -> dict[str, Tensor]:
    """Load the best model's weights in place, unless it is that of the last update.

    Returns:
        The weights of the last update on the CPU, if they were replaced.
    """
    if trainer.selection.step == trainer.step:
        return {}
    weights = {k: t.to("cpu", copy=True) for k, t in trainer.model.state_dict().items()}
    trainer.accelerator.wait_for_everyone()
    load_best(trainer.run_dir / "best", trainer.model)
    return weights


def _predict(
    trainer: Trainer, stores: Mapping[str, TaskStore | StoreSubset]
) -> dict[str, Evaluation]:
    size, accelerator = trainer.config.batch.eval_size, trainer.accelerator
    # Several processes agree on stopping at log points only; see _agree.
    with trainer.shutdown.interruptible(accelerator.num_processes == 1):
        return {
            name: evaluate(trainer.model, store, batch_size=size, accelerator=accelerator)
            for name, store in stores.items()
        }


def _write_predictions(trainer: Trainer, evaluations: dict[str, Evaluation]) -> None:
    if trainer.is_main and trainer.config.train.predictions:
        for name, evaluation in evaluations.items():
            kind = trainer.model.task_types[evaluation.task.name]
            write_predictions(trainer.run_dir / "predictions" / f"{name}.jsonl", kind, evaluation)
