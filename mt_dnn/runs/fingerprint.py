"""The fingerprint of a run: what must stay the same for its checkpoints to be continued."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from torch import nn
from torch.optim import Optimizer

from data_utils.manifest import IDENTITY, Manifest
from data_utils.task_def import TaskDef, dataset_name, split_role
from mt_dnn.config.run import RunConfig
from mt_dnn.runs.run_dir import tasks_yaml

Fingerprint = dict[str, Any]
SHOWN = 12
"""Differences that a message lists."""


def fingerprint(
    config: RunConfig,
    tasks: dict[str, TaskDef],
    manifests: Iterable[Manifest],
    *,
    model: nn.Module,
    optimizer: Optimizer,
) -> Fingerprint:
    """Describe a run as JSON values, to be saved in its checkpoints.

    Args:
        config: resolved.
        manifests: of the run's stores. Test splits are left out, because they change no training.
        model: the module whose parameters ``optimizer`` steps.
    """
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    stores = {
        dataset_name(m.task, m.split): _hash({key: getattr(m, key) for key in IDENTITY})
        for m in manifests
        if split_role(m.split) != "test"
    }
    described = {
        "data": stores,
        "parameters": [
            [f"{names.get(id(p), '?')} {tuple(p.shape)}" for p in group["params"]]
            for group in optimizer.param_groups
        ],
    }
    return settings_fingerprint(config, tasks) | json.loads(json.dumps(described))


def settings_fingerprint(config: RunConfig, tasks: dict[str, TaskDef]) -> Fingerprint:
    """The part of a fingerprint that is known before the data is read and the model is built.

    Args:
        config: resolved.
    """
    entries = yaml.safe_load(tasks_yaml(tasks))
    described = {
        "settings": {name: _plain(value) for name, value, _ in _settings(config)},
        "tasks": {
            name: {k: v for k, v in entry.items() if k != "source"}
            for name, entry in entries.items()
        },
        "task_order": list(tasks),
    }
    return json.loads(json.dumps(described))


def differences(saved: Mapping[str, Any], own: Mapping[str, Any]) -> list[str]:
    """One line for each thing in which a run differs from the one that wrote a checkpoint.

    A setting that the checkpoint does not have is new in this version, and compared with its default.

    Args:
        saved: the fingerprint in the checkpoint.
        own: that of the run, or its part by :func:`settings_fingerprint`.
    """
    found = []
    kinds = {name: kind for name, _, kind in _settings(RunConfig())}
    defaults = {name: _plain(value) for name, value, _ in _settings(RunConfig())}
    for name, value in own["settings"].items():
        before = saved["settings"].get(name, defaults[name])
        if before == value or (kinds[name] == "longer" and _is_longer(before, value)):
            continue
        shorter = " (a run may only become longer)" if kinds[name] == "longer" else ""
        found.append(f"{name}: {_short(before)} in the run, {_short(value)} now{shorter}")
    if saved["task_order"] != own["task_order"]:
        found.append(
            f"tasks: {', '.join(saved['task_order'])} in the run, {', '.join(own['task_order'])} now"
        )
    for task in saved["tasks"].keys() & own["tasks"].keys():
        before, now = saved["tasks"][task], own["tasks"][task]
        for key in sorted(before.keys() | now.keys()):
            if before.get(key) != now.get(key):
                found.append(
                    f"task {task!r}: {key}: {_short(before.get(key))} in the run, "
                    f"{_short(now.get(key))} now"
                )
    if "data" not in own:
        return found
    for name in sorted(saved["data"].keys() | own["data"].keys()):
        before, now = saved["data"].get(name), own["data"].get(name)
        if before != now:
            what = (
                "is new" if before is None else "is missing" if now is None else "has changed rows"
            )
            found.append(f"data set {name!r} {what}")
    if not found and saved["parameters"] != own["parameters"]:
        found.append(_parameters(saved["parameters"], own["parameters"]))
    return found


def listed(lines: list[str]) -> str:
    """The lines of :func:`differences` for a message, at most :data:`SHOWN` of them."""
    more = [f"... and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return "\n  ".join([*lines[:SHOWN], *more])


def _settings(config: Any, prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """Dotted name, value and kind of every setting that is compared."""
    for field in dataclasses.fields(config):
        value, kind = getattr(config, field.name), field.metadata.get("resume", "fixed")
        if dataclasses.is_dataclass(value):
            yield from _settings(value, f"{prefix}{field.name}.")
        elif kind == "path":
            yield prefix + field.name, None if value is None else Path(value).name, kind
        elif kind != "free":
            yield prefix + field.name, value, kind


def _plain(value: Any) -> Any:
    """JSON of a value, with dataclasses as mappings."""
    text = json.dumps(value, default=dataclasses.asdict)
    return json.loads(text)


def _is_longer(before: int | None, now: int | None) -> bool:
    """Whether a length has grown; None is no limit."""
    return before is not None and (now is None or now > before)


def _parameters(before: list[list[str]], now: list[list[str]]) -> str:
    old, new = ({name for group in groups for name in group} for groups in (before, now))
    if odd := sorted(old ^ new):
        where = "only in the run" if odd[0] in old else "only now"
        return f"parameters: {odd[0]} {where}, of {len(odd)} that differ"
    return "parameters: the same ones in another order or in other groups of the optimizer"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def _hash(values: Mapping[str, Any]) -> str:
    text = json.dumps(values, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
