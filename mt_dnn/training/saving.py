"""Save a trainer to a checkpoint, and open its run directory: lock it, resume, write the setup."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_utils.errors import UserError
from data_utils.files import remove
from data_utils.task_def import TaskDef
from mt_dnn.config.run import RunConfig
from mt_dnn.config.run_format import NUMERICS, is_clearing, run_numerics
from mt_dnn.devices import device_name
from mt_dnn.runs.fingerprint import (
    Fingerprint,
    differences,
    fingerprint,
    listed,
    settings_fingerprint,
)
from mt_dnn.runs.run_dir import holds_run, lock_run_dir
from mt_dnn.tracking.console import command
from mt_dnn.tracking.jsonl import check_logs, cut_back_logs, sync_logs
from mt_dnn.training import best_folders, checkpoint, checkpoint_folders, report, task_best
from mt_dnn.training.assemble import write_run_dir

if TYPE_CHECKING:
    from mt_dnn.training.trainer import Trainer


def save(trainer: Trainer) -> None:
    """Save a checkpoint of the last update, if there is none yet."""
    trainer.nonfinite.check()
    if trainer.saved_step == trainer.step:
        return
    trainer.saved_step, trainer.saved_best = trainer.step, trainer.selection.step
    task_best.checkpoint_saved(trainer)
    window = trainer.meters.state_dict()  # of all processes
    if not trainer.is_main:
        return
    scaler = trainer.accelerator.scaler
    checkpoint.save_checkpoint(
        trainer.run_dir,
        step=trainer.step,
        model=trainer.model,
        optimizer=trainer.optimizer,
        terms=trainer.objective.terms_state(),
        keep=trainer.config.train.keep,
        state={
            "fingerprint": trainer.fingerprint,
            "total": trainer.total_steps,
            "loader": trainer.loader.state_dict(),
            "window": window,
            "health": trainer.smart_health.state_dict(),
            "rho": trainer.rho_schedule.state_dict(),
            "cosines": trainer.cosines.state_dict(),
            "skipped": trainer.skipped,
            "best": trainer.best,
            "evaluations_since_best": trainer.selection.evaluations_since,
            "task_best": trainer.task_best.records,
            "owes_evaluation": trainer.owes_evaluation,
            "logs": sync_logs(trainer.run_dir),
            "scaler": scaler.state_dict() if scaler is not None else None,
        },
    )
    remove(trainer.run_dir / "checkpoints" / "best")  # the checkpoint names best/ itself
    task_best.drop_kept(trainer)


def how_to_resume(trainer: Trainer) -> str:
    """Return the message of a run that a signal has stopped, with the command that continues it."""
    return (
        f"stopped at update {trainer.step} of {trainer.total_steps}, saved; continue with: "
        f"{command('train')} --config {trainer.run_dir / 'config.yml'} --resume true"
    )


def open_run(trainer: Trainer) -> None:
    """Lock the run directory, resume, and write the setup, in this order.

    Raises:
        UserError: the folder is in use, has another run, or cannot be resumed with these settings.
            Nothing has been written then.
    """
    config = trainer.config
    if trainer.is_main:
        lock = lock_run_dir(config)
        trainer.unlock = weakref.finalize(trainer, lock.release)
    trainer.fingerprint = fingerprint(
        config,
        trainer.data.tasks,
        [store.manifest for store in (*trainer.data.train.values(), *trainer.data.dev.values())],
        model=trainer.objective,
        optimizer=trainer.optimizer,
    )
    resume = config.resume and holds_run(trainer.run_dir) and not is_clearing(trainer.run_dir)
    logs = _resume(trainer) if resume else {}
    if not trainer.is_main:
        return
    write_run_dir(config, trainer.data, device=device_name(trainer.accelerator), clear=not resume)
    if resume:
        checkpoint_folders.delete_old(trainer.run_dir, newest=trainer.step, keep=config.train.keep)
        trainer.tracker.truncate_after(trainer.step)
        cut_back_logs(trainer.run_dir, logs)
        if trainer.step < trainer.total_steps or trainer.owes_evaluation:
            remove(trainer.run_dir / "scores.json")  # which says that the run has finished


def check_resume(config: RunConfig, tasks: dict[str, TaskDef], run_dir: Path) -> None:
    """Check that the newest checkpoint has these settings, before data is prepared for others.

    Args:
        config: resolved, with ``data.max_seq_len``.

    Raises:
        UserError: the run is to be resumed, and its settings or tasks differ.
    """
    if not (config.resume and holds_run(run_dir)) or is_clearing(run_dir):
        return
    for folder in checkpoint_folders.checkpoint_folders(run_dir)[-1:]:
        try:
            state = checkpoint.read_state(folder)
        except UserError:  # damaged: the restore says so, and uses the checkpoint before it
            return
        _check_same(state, settings_fingerprint(config, tasks), folder)


def _resume(trainer: Trainer) -> dict[str, int]:
    """Restore the newest intact checkpoint, if there is one; return the sizes of its logs.

    Raises:
        UserError: the checkpoints are damaged, or the run differs from the one that saved them.
    """
    log = print if trainer.is_main else lambda line: None
    folder = checkpoint_folders.intact_checkpoint(trainer.run_dir, log)
    if folder is None:
        log(f"{trainer.run_dir} has no checkpoint: the run starts again")
        return {}
    saved = checkpoint.read_state(folder)
    if trainer.is_main:
        check_logs(trainer.run_dir, saved.get("logs", {}))
    _check_same(saved, trainer.fingerprint, folder)
    state, terms = checkpoint.load_checkpoint(
        folder, model=trainer.model, optimizer=trainer.optimizer
    )
    if (numerics := run_numerics(trainer.run_dir)) != NUMERICS:
        log(
            f"note: {trainer.run_dir} was started by a version that computes other numbers (numerics "
            f"{numerics}, now {NUMERICS}); the resumed run mixes both, and keeps {numerics} in run.json"
        )
    trainer.step = trainer.saved_step = state["step"]
    trainer.objective.load_terms_state(terms)
    with checkpoint.restoring(folder):
        _restore(trainer, state)
    _resume_best(trainer)
    task_best.resume_task_best(trainer, state.get("task_best", {}))
    if trainer.is_main:
        print(f"resumed from {folder}", flush=True)
        report.show_new_length(state.get("total"), trainer.timeline, trainer.step)
    return state.get("logs", {})


def _check_same(state: dict[str, Any], own: Fingerprint, folder: Path) -> None:
    """Raise UserError if a checkpoint is of a run with other settings, data or parameters."""
    before = state.get("fingerprint", own)  # checkpoints of older versions have none
    if lines := differences(before, own):
        raise UserError(
            f"{folder} cannot be continued with these settings:\n  {listed(lines)}\n"
            f"Resume with the settings in {folder.parents[1] / 'config.yml'}, or start another run (--name ...)"
        )


def _restore(trainer: Trainer, state: dict[str, Any]) -> None:
    """Restore the loader, the meters, the best scores and what is still to be done."""
    trainer.loader.load_state_dict(state["loader"])
    trainer.meters.load_state_dict(state["window"])
    trainer.smart_health.load_state_dict(state["health"])
    # Older checkpoints have none of the parts that are read by get.
    trainer.rho_schedule.load_state_dict(state.get("rho", {}))
    trainer.cosines.load_state_dict(state.get("cosines", {}))
    trainer.skipped = state.get("skipped", 0)
    trainer.selection.restore(state["best"], state["evaluations_since_best"])
    trainer.owes_evaluation = state.get("owes_evaluation", False)
    if trainer.accelerator.scaler is not None and state["scaler"]:
        trainer.accelerator.scaler.load_state_dict(state["scaler"])


def _resume_best(trainer: Trainer) -> None:
    """Make ``best/`` the model that the checkpoint names; without it, forget that model."""
    trainer.saved_best = step = trainer.selection.step
    found = best_folders.has_best(trainer.run_dir, step)
    trainer.accelerator.wait_for_everyone()
    if trainer.is_main:
        best_folders.restore_best(trainer.run_dir, step)
    if step is not None and not found:
        trainer.selection.record, trainer.saved_best = None, None
        if trainer.is_main:
            print(
                f"{trainer.run_dir / 'best'} is not the model of update {step}, which the checkpoint "
                f"names: the next evaluation replaces it",
                flush=True,
            )
