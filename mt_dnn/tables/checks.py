"""Checks of a table against its task files, before anything is run. Imports torch."""

from __future__ import annotations

from functools import cache
from itertools import chain

from data_utils.errors import UserError
from data_utils.registries import METRICS
from data_utils.registry import choices_hint
from data_utils.task_def import TaskDef, dataset_name
from mt_dnn.runs.task_settings import check_task_settings
from mt_dnn.tables.definition import Table
from mt_dnn.tables.settings import parse_settings
from mt_dnn.task_types import load_tasks


def check_columns(table: Table) -> None:
    """Check, before anything is run or rendered, that the runs produce every column.

    Raises:
        UserError: a column needs a task or a score that does not exist, or a setting names a task that the
            runs do not train.
    """
    load = cache(load_tasks)  # rows have their columns' tasks in common
    for name in (*table.rows, *table.stages):
        config = parse_settings(
            table.settings(name) | table.trials(name)[0], f"{table.path}: row {name!r}"
        )
        columns = [] if name in table.stages else table.columns
        if columns and not any(table.trained(name, column) for column in columns):
            raise UserError(
                f"{table.path}: row {name!r}: use: no column has all of its tasks in this list"
            )
        trained = {}
        for column in columns:
            where = f"{table.path}: column {column.name!r}"
            METRICS.get(column.metric, where)
            use = table.trained(name, column)
            if use is None:
                continue
            rows = config.data.data_dir  # for tasks with `labels: auto`
            tasks = load(
                config.data.tasks, use, where=f"{where}: {config.data.tasks}", data_dir=rows
            )
            trained[use] = tasks
            scores = [
                f"{dataset}.{metric}"
                for task in tasks.values()
                for dataset in chain(*evaluated(task, folds=table.folds))
                for metric in task.metrics
                if METRICS.get(metric).is_number
            ]
            if use and column.name not in scores:
                raise UserError(f"{where}: no such score.{choices_hint(column.name, scores)}")
        where = f"{table.path}: {name!r}: use: {config.data.tasks}"
        if use := table.find(name).use:
            trained[use] = load(config.data.tasks, use, where=where, data_dir=config.data.data_dir)
        for use, tasks in trained.items():
            sets = [evaluated(task, folds=table.folds) for task in tasks.values()]
            dev, test = (list(chain(*names)) for names in zip(*sets, strict=True))
            try:
                check_task_settings(config, tasks, dev=dev, test=test)
            except UserError as error:
                raise UserError(f"{table.path}: row {name!r}, {' + '.join(use)}: {error}") from None


def evaluated(task: TaskDef, *, folds: int | None) -> tuple[list[str], list[str]]:
    """Data sets that a run scores: those that select its model, and the labelled test sets.

    The first are dev splits, or with folds the held-out fold of the train split. Whether a test set has
    labels is known only when it is read.
    """
    selecting = [dataset_name(task.name, split) for split in task.splits("dev")]
    if folds is not None:
        selecting = [task.name] if task.splits("train") else []
    return selecting, [dataset_name(task.name, split) for split in task.splits("test")]
