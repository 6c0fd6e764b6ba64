"""The task file: YAML, one entry per task, read strictly before any data is."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from data_utils.formats import FORMATS
from data_utils.metrics import METRICS
from data_utils.registry import UserError, choices_hint
from data_utils.task_def import ROLES, SourceDef, TaskDef, split_role

# Keys as MT-DNN spells them -> field of TaskDef.
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
    "split_names": "split_names",
    "max_seq_len": "max_seq_len",
    "weight": "weight",
    "head": "head",
    "source": "source",
}
REQUIRED = ("data_format", "task_type", "metric_meta")
SCALARS: dict[str, tuple[type, ...]] = {
    "n_class": (int,),
    "max_seq_len": (int,),
    "dropout_p": (int, float),
    "weight": (int, float),
    "enable_san": (bool,),
}


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice, and remembers the line of every mapping."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict:
    loader.flatten_mapping(node)
    entries: dict = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in entries:
            mark = key_node.start_mark
            raise UserError(f"{mark.name}:{mark.line + 1}: key {key!r} stands twice")
        entries[key] = loader.construct_object(value_node, deep=True)
    return entries


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def _read_yaml(path: Path) -> tuple[dict[str, dict], dict[str, int]]:
    """The entries of the file and the line of each."""
    try:
        with path.open(encoding="utf-8") as stream:
            loader = _Loader(stream)
            loader.name = str(path)
            try:
                root = loader.get_single_node()
                entries = loader.construct_document(root) if root else None
            finally:
                loader.dispose()
    except FileNotFoundError:
        raise UserError(f"task file {path} does not exist") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8: {error}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(entries, dict) or not entries:
        raise UserError(f"{path}: no tasks; expected `name: {{data_format: ..., ...}}` entries")
    lines = {key.value: key.start_mark.line + 1 for key, _ in root.value}
    return entries, lines


def load_task_file(path: str | Path) -> dict[str, TaskDef]:
    """All tasks of a file, in its order; names of task types are left to ``mt_dnn.task_types``.

    Raises:
        UserError: names file, line, task and the valid choices.
    """
    path = Path(path)
    entries, lines = _read_yaml(path)
    tasks = {}
    for name in entries:
        where = f"{path}:{lines.get(name, 1)}: task {name!r}"
        if not isinstance(name, str) or not name.replace("-", "").replace("_", "").isalnum():
            raise UserError(f"{where}: a task name is made of letters, digits, - and _")
        keys = _extend(name, entries, path, where, seen=())
        tasks[name] = _task_def(name, keys, where)
    _check_shared_heads(tasks)
    return tasks


def _extend(name: str, entries: dict, path: Path, where: str, seen: tuple[str, ...]) -> dict:
    """The entry's keys over those of the task it extends (``name`` or ``file.yml#name``)."""
    entry = entries[name]
    if not isinstance(entry, dict):
        raise UserError(f"{where}: expected keys such as data_format, found {entry!r}")
    parent = entry.get("extends")
    if parent is None:
        return dict(entry)
    if parent in seen or parent == name:
        raise UserError(f"{where}: extends runs in a circle: {' -> '.join((*seen, name))}")
    own = {key: value for key, value in entry.items() if key != "extends"}
    if "#" in str(parent):
        file, parent = str(parent).rsplit("#", 1)
        path = path.parent / file
        entries, _ = _read_yaml(path)
    if parent not in entries:
        raise UserError(
            f"{where}: extends {parent!r}, which {path} lacks.{choices_hint(parent, entries)}"
        )
    return _extend(parent, entries, path, where, (*seen, name)) | own


def _task_def(name: str, keys: dict[str, Any], where: str) -> TaskDef:
    for key in keys:
        if key not in KEYS:
            raise UserError(f"{where}: unknown key {key!r}.{choices_hint(key, [*KEYS, 'extends'])}")
    for key in REQUIRED:
        if keys.get(key) is None:
            raise UserError(f"{where}: key {key!r} is missing")
    for key, types in SCALARS.items():
        value = keys.get(key)
        wrong_bool = isinstance(value, bool) and bool not in types
        if value is not None and (wrong_bool or not isinstance(value, types)):
            raise UserError(f"{where}: {key}: {value!r} is not a {types[-1].__name__}")

    labels = _labels(keys.get("labels"), where)
    n_class = keys.get("n_class", len(labels) or None)
    if n_class is None:
        raise UserError(f"{where}: give n_class (1 for a number) or labels")
    if n_class < 1:
        raise UserError(f"{where}: n_class: {n_class} is not positive")
    metrics = tuple(METRICS.canonical(m, where) for m in _strings(keys, "metric_meta", where))
    if not metrics:
        raise UserError(f"{where}: metric_meta is empty.{choices_hint('', METRICS.names())}")
    best = keys.get("metric_for_best") or next(
        (m for m in metrics if METRICS.get(m).is_number), metrics[0]
    )
    best = METRICS.canonical(best, where)
    if best not in metrics or not METRICS.get(best).is_number:
        raise UserError(
            f"{where}: metric_for_best: {best!r} is not a number among metric_meta {list(metrics)}"
        )
    values = {KEYS[key]: value for key, value in keys.items() if value is not None}
    values |= {
        "data_format": FORMATS.canonical(keys["data_format"], where),
        "n_class": n_class,
        "labels": labels,
        "metrics": metrics,
        "metric_for_best": best,
        "split_names": _split_names(keys, where),
        "source": _source(keys.get("source"), where),
    }
    if values.get("dropout") is not None and not 0 <= values["dropout"] < 1:
        raise UserError(f"{where}: dropout_p: {values['dropout']} is outside [0, 1)")
    if values.get("weight", 1) < 0:
        raise UserError(f"{where}: weight: {values['weight']} is negative")
    return TaskDef(name=name, where=where, **values)


def _strings(keys: dict, key: str, where: str) -> list[str]:
    value = keys.get(key)
    value = [value] if isinstance(value, str) else value
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise UserError(f"{where}: {key}: {value!r} is not a list of words")
    return value


def _labels(value: Any, where: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not value:
        raise UserError(f"{where}: labels: {value!r} is not a list")
    for label in value:
        if isinstance(label, bool) or label is None:
            raise UserError(
                f"{where}: labels: YAML reads a bare yes, no, on, off, true, false or null as "
                f"{label!r}; quote it"
            )
    labels = tuple(str(label) for label in value)
    if len(set(labels)) < len(labels):
        raise UserError(f"{where}: labels: {list(labels)} has one label twice")
    return labels


def _split_names(keys: dict, where: str) -> tuple[str, ...]:
    if keys.get("split_names") is None:
        return ROLES
    names = tuple(_strings(keys, "split_names", where))
    for name in names:
        if split_role(name) not in ROLES:
            raise UserError(
                f"{where}: split_names: {name!r} must end in train, dev or test, "
                f"such as matched_dev"
            )
    if sum(split_role(name) == "train" for name in names) > 1:
        raise UserError(f"{where}: split_names: {list(names)} has more than one train split")
    return names


def _source(value: Any, where: str) -> SourceDef | None:
    if value is None:
        return None
    known = [f.name for f in fields(SourceDef)]
    if not isinstance(value, dict):
        raise UserError(f"{where}: source: {value!r} is not a mapping.{choices_hint('', known)}")
    for key in value:
        if key not in known:
            raise UserError(f"{where}: source: unknown key {key!r}.{choices_hint(key, known)}")
    if bool(value.get("hub")) == bool(value.get("files")):
        raise UserError(f"{where}: source: give either hub or files")
    return SourceDef(**value)


def _check_shared_heads(tasks: dict[str, TaskDef]) -> None:
    """Tasks that share a head must agree on what it computes."""
    shape = ("task_type", "n_class", "dropout", "activation", "pooling", "enable_san")
    for task in tasks.values():
        owner = tasks.get(task.head_name)
        for key in shape:
            if owner is not None and getattr(task, key) != getattr(owner, key):
                raise UserError(
                    f"{task.where}: shares head {task.head_name!r} but differs from task "
                    f"{owner.name!r} in {key}: {getattr(task, key)} and {getattr(owner, key)}"
                )
