"""Build the model and the run directory of a run from its configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from data_utils.errors import UserError
from data_utils.manifest import tokenizer_hash
from data_utils.store import StoreSubset, TaskStore
from data_utils.task_def import TaskDef
from mt_dnn.config.run import ModelConfig, RunConfig
from mt_dnn.encoders.adapters import adapted
from mt_dnn.encoders.architecture import check_lengths
from mt_dnn.encoders.load import load_encoder
from mt_dnn.encoders.pretrained import load_tokenizer
from mt_dnn.model import MTDNN
from mt_dnn.runs.model_folder import load_heads, model_folder
from mt_dnn.runs.prepare import RunData
from mt_dnn.runs.run_dir import describe_environment, write_setup
from mt_dnn.task_types import TaskType

BuildModel = Callable[
    [RunConfig, dict[str, TaskDef], PreTrainedTokenizerBase, Callable[[str], None]], MTDNN
]
"""Signature of :func:`build_model`: configuration, tasks, tokenizer, log."""


def build_model(
    config: RunConfig,
    tasks: dict[str, TaskDef],
    tokenizer: PreTrainedTokenizerBase,
    log: Callable[[str], None],
) -> MTDNN:
    """Build encoder and heads. Heads are initialized from the seed, or loaded from ``init_from``.

    Raises:
        UserError: the encoder has fewer positions than ``data.max_seq_len`` or a task's own.
    """
    torch.manual_seed(config.seed)
    start = model_folder(config.model.init_from) if config.model.init_from else None
    encoder = load_encoder(
        str(start) if start else config.model.encoder,
        attention=config.model.attention,
        dropout=config.model.encoder_dropout,
        num_layers=config.model.num_layers,
    )
    encoder = adapted(encoder, config.model)
    model = MTDNN(encoder, tasks, config.model, tokenizer)
    if start:
        taken, fresh = load_heads(start, model, strict=False)
        log(
            f"initialized from {start}; heads loaded: {', '.join(taken) or 'none'}; "
            f"new heads: {', '.join(fresh) or 'none'}"
        )
    check_lengths(tasks, config.data.token_limit, encoder.positions, str(encoder.source))
    if config.model.gradient_checkpointing:
        encoder.enable_gradient_checkpointing()
    if config.system.compile:
        encoder.compile()
    return model


def check_start(config: ModelConfig) -> None:
    """Check that ``init_from`` is a finished run whose tokenizer is that of ``encoder``.

    Raises:
        UserError: it is none, or the tokenizers differ.
    """
    if not config.init_from:
        return
    start = model_folder(config.init_from)
    own, theirs = (load_tokenizer(name) for name in (config.encoder, str(start)))
    if tokenizer_hash(own) != tokenizer_hash(theirs):
        raise UserError(
            f"model.init_from: {start} has another tokenizer than model.encoder {config.encoder}; set "
            f"model.encoder to the encoder that this run started from"
        )


def start_heads(model: MTDNN, stores: Mapping[str, TaskStore | StoreSubset]) -> None:
    """Fit new heads to the training labels (:meth:`mt_dnn.task_types.TaskType.start_head`).

    Heads that ``init_from`` has loaded keep their weights.

    Args:
        model: the model to train.
        stores: the training examples by task.

    Raises:
        UserError: a task type replaces a parameter of its head, which the optimizer has already.
    """
    labels: dict[str, list[np.ndarray]] = {}
    kinds: dict[str, TaskType] = {}
    for name, store in stores.items():
        if store.labels is not None:
            head = model.tasks[name].head_name
            labels.setdefault(head, []).append(store.labels)
            kinds.setdefault(head, model.task_types[name])
    for head, kind in kinds.items():
        before = list(model.heads[head].parameters())
        kind.start_head(model.heads[head], np.concatenate(labels[head]))
        if any(p is not q for p, q in zip(before, model.heads[head].parameters(), strict=True)):
            raise UserError(
                f"start_head of {type(kind).__name__} replaced a parameter of the head, which the "
                f"optimizer would not train; change it in place"
            )


def write_run_dir(config: RunConfig, data: RunData, *, device: str, clear: bool) -> None:
    """Write everything needed to repeat the run into its folder.

    Args:
        clear: see :func:`mt_dnn.runs.run_dir.write_setup`.
    """
    stores = [*data.train.values(), *data.dev.values(), *data.test.values()]
    environment = describe_environment(
        device, torch.get_num_threads(), [store.manifest for store in stores]
    )
    run_dir = Path(config.output_dir) / config.name
    write_setup(run_dir, config, data.tasks, environment, clear=clear)
