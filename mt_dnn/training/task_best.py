"""The best model of each task, by its own dev score (``train.keep_best_per_task``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from data_utils.files import remove
from mt_dnn.inference.evaluate import Evaluation, average_score
from mt_dnn.runs.model_folder import save_model_folder
from mt_dnn.runs.run_dir import task_folder
from mt_dnn.training import best_folders

if TYPE_CHECKING:
    from mt_dnn.training.trainer import Trainer


class TaskBest:
    """Remembers each task's best evaluation: the mean of metric_for_best over its dev sets.

    Its folder ``best-<task>`` is as safe as ``best/``: it is written aside and renamed, and the model that
    the newest checkpoint names is kept until the next checkpoint.
    """

    def __init__(self) -> None:
        self.records: dict[str, dict[str, Any]] = {}
        """Task -> step and average of its best model."""
        self.saved: dict[str, int] = {}
        """Task -> update of the best model that the newest checkpoint names."""

    def offer(self, step: int, evaluations: Mapping[str, Evaluation]) -> list[str]:
        """Compare an evaluation with the best so far; return the tasks whose model it replaces."""
        better = []
        for task in dict.fromkeys(e.task.name for e in evaluations.values()):
            average = average_score({n: e for n, e in evaluations.items() if e.task.name == task})
            known = self.records.get(task)
            if average is not None and (known is None or average > known["average"]):
                self.records[task] = {"step": step, "average": average}
                better.append(task)
        return better

    def steps(self) -> dict[str, int]:
        """Task -> update of its best model."""
        return {task: record["step"] for task, record in self.records.items()}


def keep_task_best(trainer: Trainer, evaluations: Mapping[str, Evaluation]) -> None:
    """Write the folders of the tasks whose model is the best so far; only the main process does."""
    if not trainer.config.train.keep_best_per_task:
        return
    own = trainer.task_best
    for task in own.offer(trainer.step, evaluations):
        if trainer.is_main:
            folder = task_folder(trainer.run_dir, task)
            save_model_folder(
                folder,
                model=trainer.model,
                tokenizer=trainer.data.tokenizer,
                config=trainer.config,
                step=trainer.step,
                scores={name: e.metrics for name, e in evaluations.items()},
                best_of=task,
                keep_as=best_folders.keep_best_as(
                    trainer.run_dir, own.saved.get(task), name=folder.name
                ),
            )


def checkpoint_saved(trainer: Trainer) -> None:
    """Note that the newest checkpoint names the folders as they are."""
    trainer.task_best.saved = trainer.task_best.steps()


def drop_kept(trainer: Trainer) -> None:
    """Remove the models that only an older checkpoint named."""
    for task in trainer.task_best.records:
        remove(trainer.run_dir / "checkpoints" / task_folder(trainer.run_dir, task).name)


def resume_task_best(trainer: Trainer, records: Mapping[str, dict[str, Any]]) -> None:
    """Make each folder the model that the checkpoint names; without it, forget that model."""
    own = trainer.task_best
    names = {task: task_folder(trainer.run_dir, task).name for task in records}
    found = {
        task: best_folders.has_best(trainer.run_dir, record["step"], name=names[task])
        for task, record in records.items()
    }
    trainer.accelerator.wait_for_everyone()
    for task, record in records.items():
        if trainer.is_main:
            best_folders.restore_best(trainer.run_dir, record["step"], name=names[task])
        if found[task]:
            own.records[task] = dict(record)
    own.saved = own.steps()
