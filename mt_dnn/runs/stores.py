"""Token stores of a run's tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from transformers import PreTrainedTokenizerBase

from data_utils.data_report import ReportRow, report_lines
from data_utils.errors import UserError
from data_utils.folds import fold_of_rows
from data_utils.labels import CLASS_PER_EXAMPLE
from data_utils.store import StoreSubset, TaskStore, describe, ensure_store, store_folder
from data_utils.task_def import ROLES, TaskDef, dataset_name, split_role
from data_utils.task_file import check_task_names
from data_utils.token_rows import export_rows
from mt_dnn.config.run import DataConfig, RunConfig
from mt_dnn.encoders.pretrained import load_tokenizer
from mt_dnn.runs.length import resolve_length
from mt_dnn.runs.splits import soft_label_files, splits_with_rows, store_dir
from mt_dnn.task_types import load_tasks


def select_tasks(config: DataConfig) -> dict[str, TaskDef]:
    """The tasks of ``data.use``, in its order; by default all tasks of the file.

    Raises:
        UserError: the task file lacks a name, or the entry of a selected task is malformed.
    """
    where = f"data.train_limits: {config.tasks}"
    check_task_names(config.tasks, config.train_limits, where=where)
    where = f"data.use: {config.tasks}"
    return load_tasks(config.tasks, config.use, where=where, data_dir=config.data_dir)


def prepare_stores(
    tasks: dict[str, TaskDef],
    config: RunConfig,
    tokenizer: PreTrainedTokenizerBase,
    *,
    soft_labels: Mapping[str, Path] | None = None,
    roles: Iterable[str] = ROLES,
    log: Callable[[str], None] = lambda line: None,
) -> dict[str, dict[str, TaskStore]]:
    """Open the store of every split that has rows; build those that are missing.

    Args:
        soft_labels: task -> file of teacher logits to join with its train split.
        roles: the roles of the splits to open.
        log: called with a line about each store that is built.

    Returns:
        role -> data set name -> store.

    Raises:
        UserError: a store is stale and ``data.on_stale`` is not ``rebuild``, or rows or soft labels are
            malformed.
    """
    roles = tuple(roles)
    splits = splits_with_rows(tasks, config, soft_labels=soft_labels, roles=roles)
    folder, made = store_dir(config), {}
    # Those that are there first: one that does not fit is refused before another is built.
    for own in sorted(splits, key=lambda o: not store_folder(folder, o.task, o.split).exists()):
        made[own.role, own.name] = ensure_store(
            own.task,
            own.split,
            source=own.source,
            tokenizer=tokenizer,
            max_seq_len=config.data.token_limit,
            store_dir=folder,
            soft_labels=own.soft_labels,
            on_stale=config.data.on_stale,
            log=log,
        )
    found: dict[str, dict[str, TaskStore]] = {role: {} for role in roles}
    for own in splits:
        found[own.role][own.name] = made[own.role, own.name]
    stores = [store for by_name in found.values() for store in by_name.values()]
    for line in data_table(stores) if any(store.is_new for store in stores) else ():
        log(line)
    return found


def data_table(stores: Iterable[TaskStore]) -> Iterator[str]:
    """Yield the lines of the table of data sets, with the problems of their rows."""
    rows = []
    for store in stores:
        own = store.manifest
        rows.append(
            ReportRow(
                task=own.task,
                split=own.split,
                rows=own.rows,
                longest=own.longest,
                truncated=own.truncated,
                max_seq_len=own.max_seq_len,
                dropped=own.dropped,
                report=own.report,
                folder=store.folder,
                source=own.source,
            )
        )
    return report_lines(rows)


def prepare_all(
    config: RunConfig, log: Callable[[str], None], *, export: Path | None = None
) -> None:
    """Build the stores of all splits of all tasks and report a line about each split.

    Args:
        export: folder to which each split is also written as MT-DNN's tokenized rows; None: no export.

    Raises:
        UserError: as :func:`prepare_stores`, or no task has rows.
    """
    tasks = select_tasks(config.data)
    soft_labels = soft_label_files(tasks, config.distill)
    tokenizer = load_tokenizer(config.model.encoder)
    config = resolve_length(config, tasks, log)
    prepared: list[TaskStore] = []
    for name, task in tasks.items():
        found = prepare_stores({name: task}, config, tokenizer, soft_labels=soft_labels)
        for split in task.split_names:
            store = found[split_role(split)].get(dataset_name(name, split))
            prepared += [store] if store else []
            log(describe(store.manifest) if store else f"{name}_{split}: no rows")
            if store and export:
                path = export / f"{name}_{split}.json"
                log(f"{path}: {export_rows(store, task, path)} rows")
    if not prepared:
        raise UserError(f"no task of {config.data.tasks} has rows in {config.data.data_dir}")
    for line in data_table(prepared):
        log(line)
    log(f"stores in {store_dir(config)}")


def fold_stores(
    tasks: dict[str, TaskDef], stores: Mapping[str, dict[str, TaskStore]], config: RunConfig
) -> tuple[dict[str, TaskStore | StoreSubset], dict[str, TaskStore | StoreSubset]]:
    """Divide the train splits into training examples and the held-out fold of ``data.fold``.

    The partition of a task depends on its rows, ``data.folds`` and the run's seed, and not on other
    tasks, the tokenizer or ``data.train_limit``. Tasks with one class per example are stratified.
    Runs with the same seed therefore have the same partition, and several seeds are repeated
    cross-validation. All windows of a row are in one fold.

    Args:
        stores: role -> data set name -> store.

    Returns:
        The stores to train on and those to evaluate on, by data set name. A held-out fold has the name
        of its task. Without ``data.folds``, these are the train and dev splits.

    Raises:
        UserError: a train split has fewer rows than folds.
    """
    folds = config.data.folds
    if folds is None:
        return {**stores["train"]}, {**stores["dev"]}
    rest: dict[str, TaskStore | StoreSubset] = {}
    held_out: dict[str, TaskStore | StoreSubset] = {}
    for name, store in stores["train"].items():
        task = tasks[store.manifest.task]
        row = row_of_examples(store)
        stratified = task.label == CLASS_PER_EXAMPLE
        try:
            fold = fold_of_rows(
                row[-1] + 1,
                folds=folds,
                seed=config.seed,
                classes=store.columns["labels"] if stratified else None,
            )
        except UserError as error:
            raise UserError(f"data.folds: {store.manifest.source}: {error}") from None
        own = fold[row] == config.data.fold
        rest[name] = StoreSubset(store, np.flatnonzero(~own))
        held_out[task.name] = StoreSubset(store, np.flatnonzero(own))
    return rest, held_out


def row_of_examples(store: TaskStore | StoreSubset) -> np.ndarray:
    """Return the number of the row that each example belongs to, from 0.

    A row of a span task has an example for each of its windows; any other row has one example.
    """
    windows = np.zeros(len(store)) if store.windows is None else store.windows
    return np.cumsum(windows == 0) - 1


def random_rows(
    store: TaskStore | StoreSubset, limit: int | None, seed: tuple[int, int]
) -> TaskStore | StoreSubset:
    """Take at most ``limit`` random rows of a store, with all windows of each.

    Args:
        limit: number of rows; None takes all.
        seed: the choice depends on it and on the number of rows alone.
    """
    row = row_of_examples(store)
    count = int(row[-1]) + 1 if len(row) else 0
    if limit is None or limit >= count:
        return store
    picked = np.random.default_rng(seed).choice(count, limit, replace=False)
    return StoreSubset(store, np.flatnonzero(np.isin(row, picked)))


def training_stores(
    tasks: dict[str, TaskDef], stores: Mapping[str, TaskStore | StoreSubset], config: RunConfig
) -> dict[str, TaskStore | StoreSubset]:
    """Training examples by task, sampled with the run's seed down to the task's limit of rows.

    The sample of a task does not depend on the other tasks, so single-task and multi-task runs train
    on the same examples. A task without a train split is not trained.
    """
    by_task = {store.manifest.task: store for store in stores.values()}
    limits, limit = config.data.train_limits, config.data.train_limit
    return {
        name: random_rows(by_task[name], limits.get(name, limit), (config.seed, 0))
        for name, task in tasks.items()
        if task.splits("train")
    }
