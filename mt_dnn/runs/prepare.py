"""The tasks and the data of a run, prepared for training and evaluation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from data_utils.collator import collate
from data_utils.errors import UserError
from data_utils.loader import TrainLoader
from data_utils.sampler import MultiTaskSampler
from data_utils.store import StoreSubset, TaskStore
from data_utils.task_def import ROLES, TaskDef
from mt_dnn.config.bounds import resolve_config
from mt_dnn.config.run import RunConfig
from mt_dnn.encoders.pretrained import load_tokenizer
from mt_dnn.runs.length import resolve_length
from mt_dnn.runs.splits import check_train_rows, soft_label_files, splits_with_rows
from mt_dnn.runs.stores import fold_stores, prepare_stores, select_tasks, training_stores
from mt_dnn.runs.task_settings import check_task_settings


@dataclass(frozen=True)
class DataSelection:
    """The tasks of a run and where their rows are, checked before any row is read."""

    config: RunConfig
    """The resolved configuration, with ``data.max_seq_len``."""
    tasks: dict[str, TaskDef]
    tokenizer: PreTrainedTokenizerBase
    soft_labels: dict[str, Path]
    """Task -> file of teacher logits."""
    roles: tuple[str, ...]
    """Roles of the splits that the run reads."""


@dataclass
class RunData:
    """The tasks of a run, their tokenized examples, and the tokenizer that made them."""

    config: RunConfig
    """The resolved configuration."""
    tasks: dict[str, TaskDef]
    tokenizer: PreTrainedTokenizerBase
    train: dict[str, TaskStore | StoreSubset]
    """By task."""
    dev: dict[str, TaskStore | StoreSubset]
    """By data set name. With ``data.folds``, the held-out fold of each task, by task."""
    test: dict[str, TaskStore]
    """By data set name."""

    def loader(
        self, *, world_size: int = 1, rank: int = 0, pin_memory: bool = False
    ) -> TrainLoader[TaskStore | StoreSubset]:
        """Build the loader of the training mixture, as the Trainer uses it.

        Each loop over the loader is one epoch. Each batch contains examples of one task. The order
        depends on the seed of the configuration only.

        Args:
            world_size: number of processes, which share every batch.
            rank: number of this process, from 0.
            pin_memory: for CUDA: copy batches into page-locked memory, and prepare them in two
                worker processes unless ``system.workers`` sets another number.
        """
        config = self.config
        sampler = MultiTaskSampler(
            {name: store.lengths for name, store in self.train.items()},
            config.batch.size,
            mixing=config.mixing,
            epochs=config.train.epochs,
            max_updates=config.train.max_steps,
            accumulate=config.batch.accumulate,
            spread=config.batch.spread,
            seed=config.seed,
            group_by_length=config.batch.group_by_length,
            pool=config.batch.pool,
            labels={n: s.labels for n, s in self.train.items() if s.labels is not None},
            world_size=world_size,
            rank=rank,
        )
        workers = config.system.workers
        return TrainLoader(
            sampler,
            self.train,
            collate=partial(collate, pad_multiple=config.batch.pad_multiple),
            workers=(2 if pin_memory else 0) if workers is None else workers,
            pin_memory=pin_memory,
        )


def prepare(config: RunConfig, log: Callable[[str], None] = print) -> RunData:
    """Load the tasks of a run and open their data; tokenize data that is not prepared yet.

    The model is not built: see :meth:`mt_dnn.model.MTDNN.from_pretrained`.

    Args:
        config: the configuration, resolved or not.
        log: called with a line about each data set that is tokenized.

    Raises:
        UserError: an error in the configuration, the task file, the rows or the stores.

    Example:
        >>> from mt_dnn import RunConfig, prepare
        >>> data = prepare(RunConfig())  # the tasks of tasks.yml, with rows in data/
        >>> {task: len(examples) for task, examples in data.train.items()}
        {'rte': 8, 'sst': 8}
        >>> batch = next(iter(data.loader()))
        >>> batch.task in data.tasks
        True
    """
    return open_data(select_data(config, log), log)


def select_data(config: RunConfig, log: Callable[[str], None] = print) -> DataSelection:
    """Load the tasks of a run and check the settings of its data. No row is tokenized.

    Args:
        config: the configuration, resolved or not.
        log: called with a line about each setting that has another effect than one may expect.

    Raises:
        UserError: an error in the configuration or the task file, a task has no rows, or there is no
            tokenizer.
    """
    config = resolve_config(config)
    tasks = select_tasks(config.data)
    for task in tasks.values():
        if task.weight == 0:
            log(f"task {task.name!r} has weight 0: it is evaluated, but not trained")
    soft_labels = soft_label_files(tasks, config.distill)
    tokenizer = load_tokenizer(config.model.encoder)
    config = resolve_length(config, tasks, log)
    roles = ROLES if config.data.folds is None else ("train", "test")
    splits = splits_with_rows(tasks, config, soft_labels=soft_labels, roles=roles)
    check_train_rows(splits, tasks, config.data.data_dir)
    dev, test = ([own.name for own in splits if own.role == role] for role in ("dev", "test"))
    if config.data.folds is not None:
        dev = [own.task.name for own in splits if own.role == "train"]
    check_task_settings(config, tasks, dev=dev, test=test)
    return DataSelection(config, tasks, tokenizer, soft_labels, roles)


def open_data(selection: DataSelection, log: Callable[[str], None] = print) -> RunData:
    """Open the data of the selected tasks; tokenize data that is not prepared yet.

    Args:
        selection: from :func:`select_data`.
        log: called with a line about each data set that is tokenized.

    Raises:
        UserError: an error in the rows or the stores.
    """
    config, tasks, tokenizer = selection.config, selection.tasks, selection.tokenizer
    stores = prepare_stores(
        tasks,
        config,
        tokenizer,
        soft_labels=selection.soft_labels,
        roles=selection.roles,
        log=log,
    )
    known, evaluated = fold_stores(tasks, stores, config)
    if config.data.fold is not None:
        log(
            f"cross-validation: training on all but fold {config.data.fold} of {config.data.folds} of "
            f"each train split (seed {config.seed}), evaluating on that fold; dev splits are not used"
        )
    train = training_stores(tasks, known, config)
    for name, store in evaluated.items():
        if not store.manifest.labelled:
            raise UserError(
                f"data set {name!r} has no labels; a dev split needs labels: add them or remove the split"
            )
    return RunData(config, tasks, tokenizer, train, evaluated, stores["test"])
