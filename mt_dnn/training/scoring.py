"""Evaluations of a run: on the dev sets, and of the best model on dev and test sets at the end."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor

from data_utils import strict_json
from data_utils.files import remove, write_text
from data_utils.store import StoreSubset, TaskStore
from mt_dnn.inference.details.describe import describe_run
from mt_dnn.inference.evaluate import Evaluation, evaluate, write_predictions
from mt_dnn.runs.model_folder import load_best, save_model_folder, write_scores
from mt_dnn.tracking.progress import EvaluationWork
from mt_dnn.training import best_folders, logs, score_report
from mt_dnn.training.signals import StopRequested
from mt_dnn.training.task_best import keep_task_best

if TYPE_CHECKING:
    from mt_dnn.training.trainer import Trainer


def evaluate_dev(trainer: Trainer) -> None:
    """Evaluate on the dev sets; save the model if it is the best so far or unscored."""
    trainer.nonfinite.check()
    trainer.owes_evaluation = True
    started = time.perf_counter()
    evaluations = _predict(trainer, trainer.watched)
    trainer.owes_evaluation = False
    mean = trainer.selection.average(evaluations)
    if trainer.selection.offer(trainer.step, evaluations, mean):
        # Those of all rows, in all processes, which predict together at the end.
        trainer.best_evaluations = {
            name: e for name, e in evaluations.items() if _is_whole(trainer, name)
        }
        _keep_best(trainer, evaluations)
    keep_task_best(trainer, evaluations)
    logs.log_cosines(trainer.tracker, trainer.step, trainer.cosines.take())
    if mean is not None:
        kinds, best = trainer.model.task_types, trainer.best
        assert best is not None
        logs.log_evaluation(
            trainer.tracker,
            trainer.step,
            evaluations,
            mean,
            kinds,
            stores=trainer.watched,
            tokenizer=trainer.data.tokenizer,
        )
        logs.log_best(trainer.tracker, trainer.step, best, trainer.data)
        score_report.show_evaluation(trainer.progress, trainer.step, evaluations, mean)
    seconds = time.perf_counter() - started
    trainer.clock += seconds  # exclude evaluation from the speed
    trainer.progress.evaluated(seconds)


def _is_whole(trainer: Trainer, dataset: str) -> bool:
    """Whether evaluations during training predict all rows of a dev set."""
    return trainer.watched[dataset] is trainer.data.dev[dataset]


def _keep_best(trainer: Trainer, evaluations: dict[str, Evaluation]) -> None:
    """Write ``best/`` and its predictions; only the main process does."""
    if not trainer.is_main:
        return
    for name in ("scores.json", "robustness.json", "errors"):  # of the model that is replaced
        remove(trainer.run_dir / name)
    save_model_folder(
        trainer.run_dir / "best",
        model=trainer.model,
        tokenizer=trainer.data.tokenizer,
        config=trainer.config,
        step=trainer.step,
        scores={name: evaluation.metrics for name, evaluation in evaluations.items()},
        keep_as=best_folders.keep_best_as(trainer.run_dir, trainer.saved_best),
    )
    _write_predictions(trainer, trainer.best_evaluations)


def finish(trainer: Trainer) -> dict[str, Any]:
    """Score the best model on all rows of the dev and test sets, and report the results.

    Returns:
        The content of scores.json.
    """
    if trainer.best is None:
        evaluate_dev(trainer)
    evaluations = _final_evaluations(trainer)
    final = final_scores(trainer, evaluations)
    if trainer.is_main:
        _write_predictions(
            trainer, {n: e for n, e in evaluations.items() if n not in trainer.best_evaluations}
        )
        final |= describe_run(
            trainer.run_dir,
            trainer.model.task_types,
            {**trainer.data.dev, **trainer.data.test},
            data_dir=trainer.config.data.data_dir,
            tokenizer=trainer.data.tokenizer,
        )
        write_text(trainer.run_dir / "scores.json", strict_json.dumps(final, indent=2) + "\n")
        write_scores(
            trainer.run_dir / "best",
            config=trainer.config,
            tasks=trainer.model.tasks,
            scores=final["scores"],
            test=final["test"],
        )
        logs.log_final(trainer.tracker, trainer.step, final)
        config, data, run_dir = trainer.config, trainer.data, trainer.run_dir
        score_report.show_results(data, final, trainer.smart_health)
        for line in score_report.warnings(evaluations, final["test"], config):
            print(line)
        score_report.show_next(config, data, run_dir)
    return final


def final_scores(trainer: Trainer, evaluations: Mapping[str, Evaluation]) -> dict[str, Any]:
    """Content of scores.json.

    The scores of a dev set that was evaluated on all its rows are those of that evaluation, which a resumed
    run may have in its checkpoint only.

    Args:
        evaluations: of the best model, on all rows of dev and test sets.
    """
    best = trainer.best
    assert best is not None
    dev = {n: e for n, e in evaluations.items() if n in trainer.data.dev}
    whole = {n for n in dev if _is_whole(trainer, n) and n in best["scores"]}
    scored = {n: e for n, e in evaluations.items() if n in trainer.data.dev or e.metrics}
    kept_losses = best.get("losses", {})  # older checkpoints have none
    losses = {n: kept_losses.get(n) if n in whole else e.loss for n, e in scored.items()}
    return {
        "step": best["step"],
        "average": best["average"] if whole == dev.keys() else trainer.selection.average(dev),
        "scores": {n: best["scores"][n] if n in whole else e.metrics for n, e in scored.items()},
        "test": [n for n in scored if n in trainer.data.test],
        "selected_on": list(trainer.selection.selected_on),
        "baselines": {
            n: best["baselines"][n] if n in whole else e.baseline for n, e in scored.items()
        },
        "losses": {n: loss for n, loss in losses.items() if loss is not None},
    }


def _final_evaluations(trainer: Trainer) -> dict[str, Evaluation]:
    """Predict all rows of the dev and test sets with the best model, apart from what is known.

    Test sets without labels are predicted only if their predictions are written.
    """
    known, data = trainer.best_evaluations, trainer.data
    writes = trainer.config.train.predictions
    stores = {name: store for name, store in data.dev.items() if name not in known}
    stores |= {n: store for n, store in data.test.items() if writes or store.manifest.labelled}
    found: dict[str, Evaluation] = {}
    if stores:
        weights = _load_best(trainer)
        try:
            found = _predict(trainer, stores)
        except StopRequested:
            if weights:
                trainer.model.load_state_dict(weights)
            raise
        if weights and not data.test:
            trainer.model.load_state_dict(weights)
    evaluations = known | found
    return {n: evaluations[n] for n in (*data.dev, *data.test) if n in evaluations}


def evaluation_work(trainer: Trainer) -> EvaluationWork:
    """Count the rows that evaluations predict in this process, for the remaining time of the run."""
    data, every = trainer.data, trainer.config.train.eval_every
    each = sum(map(len, trainer.watched.values()))
    again = (store for name, store in data.dev.items() if not _is_whole(trainer, name))
    last = sum(map(len, again)) + sum(map(len, data.test.values()))
    due = [step for step in range(1, trainer.total_steps + 1) if trainer.timeline.due(step, every)]

    def rows_left(step: int) -> int:
        rows = each * (len(due) - bisect_right(due, step)) + last
        return rows // trainer.accelerator.num_processes

    batch = trainer.config.batch
    return EvaluationWork(rows_left, rows_per_update=batch.size * batch.accumulate)


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
    found = {}
    # Several processes agree on stopping at log points only; see Trainer._agree.
    with trainer.shutdown.interruptible(accelerator.num_processes == 1):
        for name, store in stores.items():
            with trainer.progress.evaluation(name) as advance:
                found[name] = evaluate(
                    trainer.model,
                    store,
                    batch_size=size,
                    accelerator=accelerator,
                    advance=advance,
                )
    return found


def _write_predictions(trainer: Trainer, evaluations: Mapping[str, Evaluation]) -> None:
    if trainer.is_main and trainer.config.train.predictions:
        for name, evaluation in evaluations.items():
            kind = trainer.model.task_types[evaluation.task.name]
            write_predictions(trainer.run_dir / "predictions" / f"{name}.jsonl", kind, evaluation)
