"""Check a configuration and fill in its preset. Must not import torch."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import is_dataclass

from data_utils.errors import UserError
from data_utils.names import check_name
from mt_dnn.config.choices import check_choices
from mt_dnn.config.run import RunConfig
from mt_dnn.config.smart import resolve

RANGES = (
    ("train", "epochs", 1, math.inf),
    ("train", "max_steps", 1, math.inf),
    ("train", "eval_every", 1, math.inf),
    ("train", "save_every", 0, math.inf),
    ("train", "keep", 1, math.inf),
    ("train", "log_every", 1, math.inf),
    ("train", "patience", 1, math.inf),
    ("batch", "accumulate", 1, math.inf),
    ("batch", "eval_size", 1, math.inf),
    ("batch", "pad_multiple", 1, math.inf),
    ("data", "max_seq_len", 8, math.inf),
    ("data", "train_limit", 1, math.inf),
    ("data", "folds", 2, math.inf),
    ("data", "fold", 1, math.inf),
    ("model", "dropout", 0, 1),
    ("optim", "head_lr", 0, math.inf),
    ("optim", "weight_decay", 0, math.inf),
    ("optim", "layer_decay", 0, 1),
    ("optim", "warmup", 0, 1),
    ("optim", "clip_norm", 0, math.inf),
    ("distill", "weight", 0, 1),
    ("system", "threads", 1, math.inf),
    ("system", "workers", 0, math.inf),
)
"""Section, key, smallest and largest value. Fields that may be null are not checked when null."""


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
    config = check_choices(config)
    check_name(config.name, "name", run=True)
    for section, key, low, high in RANGES:
        value = getattr(getattr(config, section), key)
        if value is not None and not low <= value <= high:  # this form also rejects NaN
            bounds = f"at least {low}" if high == math.inf else f"between {low} and {high}"
            raise UserError(f"{section}.{key}: {value}; it must be {bounds}")
    folds, fold = config.data.folds, config.data.fold
    if (folds is None) != (fold is None):
        given, missing = ("fold", "folds") if folds is None else ("folds", "fold")
        raise UserError(f"data.{given}: set data.{missing} too, or neither of them")
    if folds is not None and fold is not None and fold > folds:
        raise UserError(f"data.fold: {fold}; data.folds is {folds}, and folds are counted from 1")
    for task, limit in config.data.train_limits.items():
        if limit < 1:
            raise UserError(f"data.train_limits: {task}: {limit}; it must be at least 1")
    if config.optim.combine != "sum" and config.batch.accumulate < 2:
        raise UserError(
            f"optim.combine: {config.optim.combine} combines the gradients of the batches of one update, "
            f"which has a single batch; set batch.accumulate above 1"
        )
    if not 0 < config.distill.temperature < math.inf:
        raise UserError(
            f"distill.temperature: {config.distill.temperature}; it must be greater than 0"
        )
    smoothness, proximal = resolve(config.smart, config.smoothness, config.proximal)
    perturbs = smoothness.weight and (smoothness.noise != "zero" or smoothness.ascent != "none")
    if config.system.precision == "fp16" and perturbs and smoothness.precision != "float32":
        raise UserError(
            "smoothness.precision: autocast with system.precision fp16 rounds the perturbation to "
            "zero. Set smoothness.precision to float32, or system.precision to bf16 or fp32."
        )
    return dataclasses.replace(config, smoothness=smoothness, proximal=proximal)
