"""Read and check task files: YAML files with one entry per task."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from data_utils.errors import UserError, shown
from data_utils.names import check_name
from data_utils.registries import FORMATS, METRICS
from data_utils.registry import choices_hint
from data_utils.source_keys import check_keys, read_source
from data_utils.strict_yaml import read_mapping
from data_utils.task_agreement import check_file_names, check_shared_heads
from data_utils.task_def import ROLES, TaskDef, pick_tasks, split_role
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
TASK_FILE = "task file", "name: {data_format: ..., ...}"
"""What messages call the file and its entries."""
AUTO = "auto"
"""Value of ``labels``: those of the train split."""
MAX_CLASSES = 1_000_000
"""Greatest n_class: a head of that size has 10^9 weights on a large encoder."""
MIN_LENGTH = 8
"""Smallest max_seq_len, in tokens: three special tokens and some text."""


def read_task_file(
    path: str | Path,
    check: Callable[[TaskDef], TaskDef],
    *,
    use: Iterable[str] = (),
    where: str | None = None,
    find_labels: Callable[[TaskDef], tuple[str, ...]] | None = None,
) -> dict[str, TaskDef]:
    """Read tasks of a file. Entries that are not read are not checked.

    Use :func:`mt_dnn.task_types.load_tasks`, which also checks the task types.

    Args:
        path: the task file.
        check: function that checks and completes a definition. It is an argument because the task
            types are in mt_dnn, which this package must not import.
        use: names of the tasks to read, in order; no names: all tasks, in the order of the file.
        where: the setting with the names and the file, for the message about an unknown name.
        find_labels: function that returns the labels of a task with ``labels: auto``. It receives a
            definition whose only label is ``auto``. None: such a task is an error.

    Raises:
        UserError: there is no task of a name, or its entry is invalid; the message has file, line,
            task and the valid choices.
    """
    path = Path(path)
    entries, lines = read_mapping(path, *TASK_FILE)
    tasks = {}
    for name in pick_tasks(entries, use, where=where or str(path)):
        where = f"{path}:{lines.get(name, 1)}: task {name!r}"
        check_name(name, where)
        try:
            keys = _extend(name, entries, path, where, seen=())
            tasks[name] = check(_resolved(name, keys, where, find_labels))
        except UserError as error:
            raise UserError(_at_key(str(error), name, path, lines)) from None
    check_shared_heads(tasks)
    check_file_names(tasks)
    return tasks


KEY = re.compile(r"(?:(?:unknown )?key '|unknown )?(\w+)\b")
"""The key that a message is about, at its beginning."""


def _at_key(message: str, name: str, path: Path, lines: dict[str, int]) -> str:
    """Replace the line of an entry in a message by the line of the key that it is about."""
    start = f"{path}:{lines.get(name, 1)}: task {name!r}: "
    found = KEY.match(message.removeprefix(start)) if message.startswith(start) else None
    line = lines.get(f"{name}.{found[1]}") if found else None
    if line is None:
        return message
    return f"{path}:{line}: task {name!r}: {message.removeprefix(start)}"


def check_task_names(path: str | Path, names: Iterable[str], *, where: str) -> None:
    """Check that a task file has an entry for each name; the entries are not checked.

    Args:
        where: the setting with the names and the file, for the message.

    Raises:
        UserError: there is no entry of a name, or the file cannot be read.
    """
    if names := list(names):
        pick_tasks(read_mapping(Path(path), *TASK_FILE)[0], names, where=where)


def _extend(
    name: str, entries: dict, path: Path, where: str, seen: tuple[tuple[Path, str], ...]
) -> dict:
    """Merge the keys of an entry with those of the task that it extends.

    ``extends`` is ``name`` for a task of the same file, or ``file.yml#name``. Keys of the entry override
    inherited keys. ``seen`` has the (file, task) pairs extended so far, to detect cycles.
    """
    if (path.resolve(), name) in seen:
        names = " -> ".join([*(before for _, before in seen), name])
        raise UserError(f"{where}: extends forms a cycle: {names}")
    entry = entries[name]
    if not isinstance(entry, dict):
        raise UserError(f"{where}: expected keys such as data_format, found {shown(entry)}")
    own = {key: value for key, value in entry.items() if key != "extends"}
    if (parent := entry.get("extends")) is None:
        return own
    seen = (*seen, (path.resolve(), name))
    file, _, parent = str(parent).rpartition("#")
    if file:
        path = path.parent / file
        entries, _ = read_mapping(path, *TASK_FILE)
    if parent not in entries:
        raise UserError(
            f"{where}: extends: {path} has no task {parent!r}.{choices_hint(parent, entries)}"
        )
    return _extend(parent, entries, path, where, seen) | own


def _resolved(
    name: str,
    keys: dict[str, Any],
    where: str,
    find_labels: Callable[[TaskDef], tuple[str, ...]] | None,
) -> TaskDef:
    """Return the definition of an entry, with the labels of train in place of ``labels: auto``.

    Raises:
        UserError: the entry is invalid, or its rows are not known.
    """
    if keys.get("labels") != AUTO:
        return _task_def(name, keys, where)
    if find_labels is None:
        raise UserError(
            f"{where}: labels: auto needs the rows of the train split, which are not read here; list "
            f"the labels, as in tasks.yml of a run that has trained this task"
        )
    draft = _task_def(name, keys | {"labels": [AUTO], "n_class": None}, where)
    labels = list(find_labels(draft))
    return replace(_task_def(name, keys | {"labels": labels}, where), auto_labels=True)


def _task_def(name: str, keys: dict[str, Any], where: str) -> TaskDef:
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
