"""Check a configuration and fill in its preset. Must not import torch."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import is_dataclass
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

from data_utils.errors import UserError
from data_utils.names import check_name
from mt_dnn.config.choices import check_choices
from mt_dnn.config.presets import resolve
from mt_dnn.config.run import RunConfig

RANGES = (
    ("train", "epochs", 1, math.inf),
    ("train", "max_steps", 1, math.inf),
    ("train", "eval_every", 1, math.inf),
    ("train", "save_every", 0, math.inf),
    ("train", "keep", 1, math.inf),
    ("train", "log_every", 1, math.inf),
    ("train", "patience", 1, math.inf),
    ("batch", "size", 1, math.inf),
    ("batch", "pool", 1, math.inf),
    ("batch", "accumulate", 1, math.inf),
    ("batch", "eval_size", 1, math.inf),
    ("batch", "pad_multiple", 1, 1024),
    ("data", "max_seq_len", 8, math.inf),
    ("data", "train_limit", 1, math.inf),
    ("data", "eval_limit", 1, math.inf),
    ("data", "folds", 2, math.inf),
    ("data", "fold", 1, math.inf),
    ("model", "encoder_dropout", 0, 1),
    ("model", "num_layers", 1, math.inf),
    ("optim", "head_lr", 0, math.inf),
    ("optim", "weight_decay", 0, math.inf),
    ("optim", "layer_decay", 0, 1),
    ("optim", "warmup", 0, 1),
    ("optim", "clip_norm", 0, math.inf),
    ("distill", "weight", 0, 1),
    ("system", "threads", 1, 1024),
    ("system", "workers", 0, 64),
)
"""Section, key, smallest and largest value. Fields that may be null are not checked when null."""
MAX_SEED = 2**63 - 1
"""Greatest seed of torch's generators."""


def resolve_config(config: RunConfig) -> RunConfig:
    """Check all settings and replace null fields of SMART by the values of the preset.

    The plugins of the run are imported first. Resolving a resolved configuration changes nothing.

    Args:
        config: the configuration as the user wrote it.

    Returns:
        A copy in which ``smoothness`` and ``proximal`` are complete. Only
        ``smoothness.divergence`` may still be None, which selects the divergence of the task, and
        ``smoothness.balance`` and ``proximal.horizon``, where None switches them off.

    Raises:
        UserError: a setting is outside its range or names an unknown kind, the preset is unknown, a
            plugin cannot be imported, or two settings contradict each other.

    Example::

        config = resolve_config(RunConfig(smart="smart"))
        config.smoothness.epsilon  # 1e-05
    """
    for name, value in vars(RunConfig()).items():
        if is_dataclass(value) and not isinstance(given := getattr(config, name), type(value)):
            raise UserError(
                f"{name}: expected a {type(value).__name__}, got {given!r} (mt_dnn.config.run)"
            )
    _check_nulls(config)
    config = check_choices(config)
    check_name(config.name, "name", run=True)
    if config.resume and config.overwrite:
        raise UserError(
            "resume and overwrite are both true: one continues the run, the other deletes it. Set one to false"
        )
    if not 0 <= config.seed <= MAX_SEED:
        raise UserError(f"seed: {config.seed!s:.30}; it must be between 0 and {MAX_SEED}")
    for section in dict.fromkeys(section for section, *_ in RANGES):
        check_section(section, getattr(config, section))
    if not 0 < config.optim.lr < math.inf:
        raise UserError(f"optim.lr: {config.optim.lr}; it must be positive, such as 5e-5")
    if not 0 < config.optim.eps < math.inf:
        raise UserError(f"optim.eps: {config.optim.eps}; it must be positive, such as 1e-8")
    if not all(0 <= beta < 1 for beta in config.optim.betas):
        raise UserError(
            f"optim.betas: {list(config.optim.betas)}; each must be at least 0 and below 1"
        )
    folds, fold = config.data.folds, config.data.fold
    if (folds is None) != (fold is None):
        given, missing = ("fold", "folds") if folds is None else ("folds", "fold")
        raise UserError(f"data.{given}: set data.{missing} too, or neither of them")
    if folds is not None and fold is not None and fold > folds:
        raise UserError(f"data.fold: {fold}; data.folds is {folds}, and folds are counted from 1")
    for task, limit in config.data.train_limits.items():
        if limit < 1:
            raise UserError(f"data.train_limits: {task}: {limit}; it must be at least 1")
    if config.batch.accumulate < 2:
        _check_single_batch(config)
    if not 0 < config.distill.temperature < math.inf:
        raise UserError(
            f"distill.temperature: {config.distill.temperature}; it must be greater than 0"
        )
    smoothness, proximal = resolve(config.smart, config.smoothness, config.proximal)
    perturbs = smoothness.weight and (smoothness.noise != "zero" or smoothness.ascent != "none")
    if config.system.precision == "fp16" and perturbs and smoothness.precision == "autocast":
        raise UserError(
            "smoothness.precision: autocast with system.precision fp16 rounds the perturbation to "
            "zero. Set smoothness.precision to float32, or system.precision to bf16 or fp32."
        )
    if config.system.precision == "fp16" and perturbs and smoothness.precision == "auto":
        smoothness = dataclasses.replace(smoothness, precision="float32")
    if config.system.compile and smoothness.weight and smoothness.space == "embedding_output":
        raise UserError(
            "smoothness.space: embedding_output needs an encoder that is not compiled, because a "
            "compiled one ignores the shift of its embedding output. Set system.compile to false, "
            "or smoothness.space to words."
        )
    return dataclasses.replace(config, smoothness=smoothness, proximal=proximal)


def check_section(name: str, section: Any, where: str = "") -> None:
    """Check the ranges of a section's settings.

    Args:
        name: of the section.
        section: its dataclass.
        where: start of the message.

    Raises:
        UserError: a setting is out of range.
    """
    for own, key, low, high in RANGES:
        value = getattr(section, key) if own == name else None
        # This form also rejects NaN.
        if value is not None and not (low <= value <= high and value < math.inf):
            bounds = f"at least {low}" if high == math.inf else f"between {low} and {high}"
            raise UserError(f"{where}{name}.{key}: {value}; it must be {bounds}")
    if name == "model" and not 0 <= section.dropout < 1:
        raise UserError(
            f"{where}model.dropout: {section.dropout}; it must be at least 0 and below 1"
        )


def _check_single_batch(config: RunConfig) -> None:
    """Raise UserError for a setting that needs several batches in an update."""
    combine = config.optim.combine
    if combine != "sum":
        what = f"optim.combine: {combine} combines the gradients of"
    elif config.batch.spread:
        what = "batch.spread: true takes from different tasks"
    elif config.train.gradient_cosines:
        what = "train.gradient_cosines: true compares the gradients of"
    else:
        return
    raise UserError(
        f"{what} the batches of one update, which has a single batch; set batch.accumulate above 1"
    )


_types = cache(get_type_hints)


def _check_nulls(config: Any, prefix: str = "") -> None:
    """Raise UserError if a setting is None and its type does not allow it."""
    section: Any = type(config)
    for name, hint in _types(section).items():
        value = getattr(config, name)
        if dataclasses.is_dataclass(value):
            _check_nulls(value, f"{prefix}{name}.")
        elif value is None and type(None) not in get_args(hint):
            empty = ", such as {} for an empty one" if get_origin(hint) is dict else ""
            raise UserError(f"{prefix}{name}: null; this setting needs a value{empty}")
