"""Build the parts of a run from its configuration: tasks, data, model, loader, run directory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from accelerate import Accelerator
from transformers import PreTrainedTokenizerBase

from data_utils.collator import collate
from data_utils.errors import UserError
from data_utils.loader import TrainLoader
from data_utils.manifest import tokenizer_hash
from data_utils.sampler import MultiTaskSampler
from data_utils.store import StoreSubset, TaskStore
from data_utils.task_def import ROLES, TaskDef
from mt_dnn.config.run import RunConfig
from mt_dnn.encoders.encoder import load_encoder
from mt_dnn.encoders.pretrained import load_tokenizer
from mt_dnn.model import MTDNN
from mt_dnn.runs.run_dir import (
    describe_environment,
    load_heads,
    model_folder,
    open_run_dir,
    write_setup,
)
from mt_dnn.runs.stores import (
    fold_stores,
    prepare_stores,
    select_tasks,
    soft_label_files,
    training_stores,
)


@dataclass
class Parts:
    """Tasks, data and model of a run."""

    tasks: dict[str, TaskDef]
    tokenizer: PreTrainedTokenizerBase
    train: dict[str, TaskStore | StoreSubset]
    """By task."""
    dev: dict[str, TaskStore | StoreSubset]
    """By data set name. With ``data.folds``, the held-out fold of each task, by task."""
    test: dict[str, TaskStore]
    """By data set name."""
    model: MTDNN


def assemble(config: RunConfig, log: Callable[[str], None]) -> Parts:
    """Load tasks, data and model. Data that has not been prepared is prepared first.

    Args:
        log: called with each line of output.

    Raises:
        UserError: an error in the task file, the rows, the stores or the encoder.
    """
    tasks = select_tasks(config.data)
    soft_labels = soft_label_files(tasks, config.distill)
    tokenizer = load_tokenizer(config.model.encoder)
    roles = ROLES if config.data.folds is None else ("train", "test")
    stores = prepare_stores(tasks, config, tokenizer, soft_labels=soft_labels, roles=roles, log=log)
    known, dev = fold_stores(tasks, stores, config)
    if config.data.fold is not None:
        log(
            f"cross-validation: training on all but fold {config.data.fold} of {config.data.folds} of "
            f"each train split (seed {config.seed}), evaluating on that fold; dev splits are not used"
        )
    train = training_stores(tasks, known, config)
    for name, store in dev.items():
        if not store.manifest.labelled:
            raise UserError(
                f"data set {name!r} has no labels; a dev split needs labels: add them or remove the split"
            )
    return Parts(
        tasks=tasks,
        tokenizer=tokenizer,
        train=train,
        dev=dev,
        test=stores["test"],
        model=build_model(config, tasks, tokenizer, log),
    )


def build_model(
    config: RunConfig,
    tasks: dict[str, TaskDef],
    tokenizer: PreTrainedTokenizerBase,
    log: Callable[[str], None],
) -> MTDNN:
    """Build encoder and heads. Heads are initialized from the seed, or loaded from ``init_from``.

    Raises:
        UserError: ``init_from`` has another tokenizer, or the encoder has fewer positions than
            ``data.max_seq_len``.
    """
    torch.manual_seed(config.seed)
    start = model_folder(config.model.init_from) if config.model.init_from else None
    if start:
        _check_tokenizer(start, config)
    encoder = load_encoder(
        str(start) if start else config.model.encoder, attention=config.model.attention
    )
    model = MTDNN(encoder, tasks, config.model, tokenizer)
    if start:
        taken, fresh = load_heads(start, model, strict=False)
        log(
            f"initialized from {start}; heads loaded: {', '.join(taken) or 'none'}; "
            f"new heads: {', '.join(fresh) or 'none'}"
        )
    positions = getattr(encoder.config, "max_position_embeddings", None)
    if positions is not None and config.data.max_seq_len > positions:
        raise UserError(
            f"data.max_seq_len: {config.data.max_seq_len} exceeds the {positions} positions of "
            f"{config.model.encoder}; use at most {positions}"
        )
    if config.model.gradient_checkpointing:
        encoder.enable_gradient_checkpointing()
    if config.system.compile:
        encoder.compile()
    return model


def _check_tokenizer(start: Path, config: RunConfig) -> None:
    """Check that ``start`` has the tokenizer of ``model.encoder``, which tokenizes the tasks.

    Raises:
        UserError: the tokenizers differ.
    """
    own, theirs = (load_tokenizer(name) for name in (config.model.encoder, str(start)))
    if tokenizer_hash(own) != tokenizer_hash(theirs):
        raise UserError(
            f"model.init_from: {start} has another tokenizer than model.encoder "
            f"{config.model.encoder}; set model.encoder to the encoder that this run started from"
        )


def build_loader(config: RunConfig, parts: Parts, accelerator: Accelerator) -> TrainLoader:
    """Build the loader of the training mixture, for this process's share of the batches."""
    cuda = accelerator.device.type == "cuda"
    sampler = MultiTaskSampler(
        {name: store.lengths for name, store in parts.train.items()},
        config.batch.size,
        mixing=config.mixing,
        epochs=config.train.epochs,
        seed=config.seed,
        group_by_length=config.batch.group_by_length,
        pool=config.batch.pool,
        world_size=accelerator.num_processes,
        rank=accelerator.process_index,
    )
    return TrainLoader(
        sampler,
        parts.train,
        collate=partial(collate, pad_multiple=config.batch.pad_multiple),
        workers=(2 if cuda else 0) if config.system.workers is None else config.system.workers,
        pin_memory=cuda,
    )


def create_run_dir(config: RunConfig, parts: Parts, *, device: str) -> Path:
    """Create the run directory and write everything needed to repeat the run.

    Raises:
        UserError: the folder contains another run.
    """
    run_dir = open_run_dir(config)
    stores = [*parts.train.values(), *parts.dev.values(), *parts.test.values()]
    environment = describe_environment(
        device, torch.get_num_threads(), [store.manifest for store in stores]
    )
    write_setup(run_dir, config, parts.tasks, environment)
    return run_dir
