"""Checks of the settings that name tasks or data sets, before any data is prepared."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from data_utils.errors import UserError
from data_utils.mixing import check_mixing
from data_utils.registry import choices_hint
from data_utils.task_def import TaskDef
from mt_dnn.config.run import RunConfig, TermConfig


def check_task_settings(
    config: RunConfig,
    tasks: Mapping[str, TaskDef],
    *,
    dev: Collection[str],
    test: Collection[str],
) -> None:
    """Check that a run with these tasks can train, and that no setting names something else.

    Args:
        config: resolved.
        tasks: the tasks of the run.
        dev: names of the data sets that the run evaluates during training.
        test: names of its test sets.

    Raises:
        UserError: a task has neither a train split nor a trained head, ``mixing`` or ``terms`` name a task
            that the run lacks, or ``train.select_on`` names no dev set.
    """
    trained = [name for name, task in tasks.items() if task.splits("train")]
    _check_heads(tasks.values(), {tasks[name].head_name for name in trained})
    check_mixing(config.mixing, trained)
    for term in config.terms:
        if term.is_on:
            _check_term(term, tasks)
    _check_selection(config.train.select_on, dev, test)


def _check_heads(tasks: Iterable[TaskDef], trained: Collection[str]) -> None:
    for task in tasks:
        if task.head_name not in trained:
            raise UserError(
                f"{task.where}: has no train split and shares no head with a task that has one; "
                f"leave it out with --data.use"
            )


def _check_term(term: TermConfig, tasks: Collection[str]) -> None:
    for task in term.weights:
        if task not in tasks:
            raise UserError(
                f"terms: {term.tag or term.name}: weights: the run has no task {task!r}."
                f"{choices_hint(task, tasks)}"
            )


def _check_selection(chosen: Iterable[str], dev: Collection[str], test: Collection[str]) -> None:
    for name in chosen:
        if name in test:
            raise UserError(
                f"train.select_on: {name} is a test set, which is scored once, at the end. "
                f"Name dev sets: {', '.join(dev)}"
            )
        if name not in dev:
            choices = (
                choices_hint(name, dev) if dev else " It has no dev sets: leave select_on out."
            )
            raise UserError(f"train.select_on: the run evaluates no data set {name!r}.{choices}")
