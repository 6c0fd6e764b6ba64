"""One entry of a task file: its keys, their values, and the definition that they give."""

from __future__ import annotations

import math
import re
import warnings
from typing import Any

from data_utils.errors import UserError, shown
from data_utils.names import check_name
from data_utils.registries import FORMATS, METRICS
from data_utils.registry import choices_hint
from data_utils.source_keys import check_keys, read_source
from data_utils.task_def import ROLES, TaskDef, split_role
from data_utils.window_keys import read_windows

# Key in the YAML file, as in MT-DNN's task files -> field of TaskDef.
KEYS = {
    "data_format": "data_format",
    "task_type": "task_type",
    "n_class": "n_class",
    "labels": "labels",
    "metric_meta": "metrics",
    "metric_for_best": "metric_for_best",
    "loss": "loss",
    "kd_loss": "kd_loss",
    "adv_loss": "adv_loss",
    "enable_san": "enable_san",
    "dropout_p": "dropout",
    "actf": "activation",
    "pooling": "pooling",
    "layers": "layers",
    "split_names": "split_names",
    "max_seq_len": "max_seq_len",
    "windows": "windows",
    "weight": "weight",
    "head": "head",
    "options": "options",
    "source": "source",
}
IGNORED = {"encoder_type": "the encoder is that of model.encoder"}
"""Key of older MT-DNN task files that has no effect -> the reason."""
REQUIRED = ("data_format", "task_type", "metric_meta")
SCALARS: dict[str, tuple[type, ...]] = {
    "n_class": (int,),
    "max_seq_len": (int,),
    "dropout_p": (int, float),
    "weight": (int, float),
    "enable_san": (bool,),
    **dict.fromkeys(("data_format", "task_type", "loss", "kd_loss", "adv_loss"), (str,)),
    **dict.fromkeys(("metric_for_best", "actf", "pooling", "layers", "head"), (str,)),
}
TYPE_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "a string"}
MAX_CLASSES = 1_000_000
"""Greatest n_class: a head of that size has 10^9 weights on a large encoder."""
MIN_LENGTH = 8
"""Smallest max_seq_len, in tokens: three special tokens and some text."""


def task_def(name: str, keys: dict[str, Any], where: str) -> TaskDef:
    """Return the definition that the keys of an entry give.

    Args:
        keys: of the entry, with those that it inherits.
        where: file, line and task, the start of a message.

    Raises:
        UserError: a key is unknown or missing, or its value is invalid.
    """
    for key in keys.keys() & IGNORED.keys():
        warnings.warn(f"{where}: key {key!r} is ignored: {IGNORED[key]}", stacklevel=2)
    keys = {key: value for key, value in keys.items() if key not in IGNORED}
    check_keys(keys, [*KEYS, "extends"], where)
    for key in REQUIRED:
        if keys.get(key) is None:
            raise UserError(f"{where}: key {key!r} is missing")
    for key, types in SCALARS.items():
        value = keys.get(key)
        wrong_bool = isinstance(value, bool) and bool not in types
        if value is not None and (wrong_bool or not isinstance(value, types)):
            raise UserError(f"{where}: {key}: {shown(value)} is not {TYPE_NAMES[types[-1]]}")

    labels = _labels(keys.get("labels"), where)
    n_class = keys.get("n_class")
    if n_class is None:
        n_class = len(labels)  # 0 without labels; task types that need classes reject it
    elif not 1 <= n_class <= MAX_CLASSES:
        raise UserError(f"{where}: n_class: {n_class!s:.20} is outside 1..{MAX_CLASSES}")
    metrics = tuple(
        METRICS.canonical(m, f"{where}: metric_meta") for m in _strings(keys, "metric_meta", where)
    )
    if len(set(metrics)) < len(metrics):
        raise UserError(f"{where}: metric_meta: {list(metrics)} contains a metric twice")
    if not metrics:
        raise UserError(f"{where}: metric_meta is empty.{choices_hint('', METRICS.names())}")
    for metric in metrics:
        if "labels" in METRICS.get(metric).needs and not labels:
            raise UserError(f"{where}: metric_meta: {metric} needs labels; give `labels: [...]`")
    data_format = FORMATS.canonical(keys["data_format"], where)
    split_names = _split_names(name, keys, where)
    best = keys.get("metric_for_best") or next(
        (m for m in metrics if METRICS.get(m).is_number), metrics[0]
    )
    best = METRICS.canonical(best, f"{where}: metric_for_best")
    if best not in metrics or not METRICS.get(best).is_number:
        raise UserError(
            f"{where}: metric_for_best: {best!r} is no numeric metric in metric_meta {list(metrics)}"
        )
    values = {KEYS[key]: value for key, value in keys.items() if value is not None}
    values |= {
        "data_format": data_format,
        "n_class": n_class,
        "labels": labels,
        "metrics": metrics,
        "metric_for_best": best,
        "split_names": split_names,
        "options": _options(keys.get("options"), where),
        "source": read_source(keys.get("source"), data_format, split_names, where),
        "windows": read_windows(keys.get("windows"), where),
    }
    if "head" in values:
        check_name(values["head"], f"{where}: head")
    if values.get("dropout") is not None and not 0 <= values["dropout"] < 1:
        raise UserError(f"{where}: dropout_p: {values['dropout']} is outside [0, 1)")
    if not 0 <= values.get("weight", 1) < math.inf:
        raise UserError(f"{where}: weight: {values['weight']}; it must be a number of at least 0")
    if values.get("max_seq_len", MIN_LENGTH) < MIN_LENGTH:
        raise UserError(
            f"{where}: max_seq_len: {values['max_seq_len']}; it must be at least {MIN_LENGTH}"
        )
    return TaskDef(name=name, where=where, **values)


def _strings(keys: dict, key: str, where: str) -> list[str]:
    value = keys.get(key)
    value = [value] if isinstance(value, str) else value
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise UserError(f"{where}: {key}: {shown(value)} is not a list of strings")
    return value


def _labels(value: Any, where: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not value:
        raise UserError(
            f"{where}: labels: {shown(value)} is not a list of at least one label, and not auto"
        )
    for label in value:
        if isinstance(label, bool) or label is None:
            raise UserError(
                f"{where}: labels: YAML reads a bare yes, no, on, off, true, false or null as "
                f"{shown(label)}; quote it"
            )
        if isinstance(label, (list, dict)) or not str(label).strip():
            raise UserError(f"{where}: labels: {shown(label)} is not a word or a number")
        if str(label) != str(label).strip() or re.search("[\t\n\r\0\ud800-\udfff]", str(label)):
            raise UserError(
                f"{where}: labels: {shown(label)} begins or ends with a blank, or contains a tab, a line end "
                f"or half of a surrogate pair; no row can have this label"
            )
    labels = tuple(str(label) for label in value)
    if len(set(labels)) < len(labels):
        raise UserError(f"{where}: labels: {list(labels)} contains a label twice")
    return labels


def _options(value: Any, where: str) -> dict[str, Any]:
    """Return the options; the task type checks their names and values later."""
    value = {} if value is None else value
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise UserError(
            f"{where}: options: {shown(value)} is not a mapping, such as {{stride: 64}}"
        )
    return value


def _split_names(task: str, keys: dict, where: str) -> tuple[str, ...]:
    if keys.get("split_names") is None:
        return ROLES
    names = tuple(_strings(keys, "split_names", where))
    for name in names:
        check_name(name, f"{where}: split_names")
        if split_role(name) not in ROLES:
            raise UserError(
                f"{where}: split_names: {name!r} must end in train, dev or test, such as matched_dev; rename "
                f"the split and its file"
            )
    if not names or len(set(names)) < len(names):
        raise UserError(f"{where}: split_names: {list(names)} is empty or contains a name twice")
    if sum(split_role(name) == "train" for name in names) > 1:
        raise UserError(
            f"{where}: split_names: {list(names)} has more than one train split. Keep one of them, and make "
            f"a task of each other one: `{task}_2: {{extends: {task}, head: {task}, split_names: [train]}}`, "
            f"whose rows are in {task}_2_train.tsv"
        )
    return names
