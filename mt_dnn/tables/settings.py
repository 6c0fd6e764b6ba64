"""Settings of a run by dotted name, and the identity of a run. Does not import torch."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser

from data_utils.errors import UserError
from data_utils.strict_yaml import read_mapping
from mt_dnn.config.bounds import resolve_config
from mt_dnn.config.choices import check_choices
from mt_dnn.config.dotted import flatten, nest
from mt_dnn.config.messages import reworded
from mt_dnn.config.old_settings import upgrade
from mt_dnn.config.parser import settings
from mt_dnn.config.presets import resolve
from mt_dnn.config.run import RunConfig
from mt_dnn.config.run_format import NUMERICS, run_numerics

NOT_IDENTITY = (
    *("name", "output_dir", "resume", "overwrite", "trackers", "tracker_options"),
    *("data.store_dir", "data.on_stale", "system.threads", "system.workers", "smart"),
    "train.report",
)
"""Settings that do not change what a run computes, and the preset: its resolved numbers are compared."""

Settings = dict[str, Any]
"""Dotted name of a setting -> value."""


def parse_settings(values: Settings, where: str) -> RunConfig:
    """Parse settings into a run configuration, without resolving its preset. Imports its plugins.

    Args:
        where: file and entry, the start of an error message.

    Raises:
        UserError: a value has the wrong type, is out of range or is not one of the choices, or settings
            contradict each other.
    """
    try:
        parsed = _parser().instantiate(_parser().parse_object(nest(values)))
        fields = {name: getattr(parsed, name) for name in RunConfig.__dataclass_fields__}
        resolve_config(RunConfig(**fields))
        config = check_choices(RunConfig(**fields))
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    except ArgumentError as error:
        raise UserError(f"{where}: {reworded(str(error), dict(settings()))}") from None
    return config


@cache
def _parser() -> ArgumentParser:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(RunConfig)
    return parser


def identity(config: RunConfig, numerics: int = NUMERICS) -> Settings:
    """Settings that determine the result and differ from the defaults, with the preset resolved.

    ``numerics``, the version of what the code computes, is added from version 2 on. Defaults are left out,
    so that results stay valid when a new version adds a setting. Limits of tasks that the run does not
    train are left out too.
    """
    limits = {t: n for t, n in config.data.train_limits.items() if t in (config.data.use or (t,))}
    config = dataclasses.replace(config, data=dataclasses.replace(config.data, train_limits=limits))
    known = {
        name: value
        for name, value in _resolved(config)
        if name not in NOT_IDENTITY and value != _defaults()[name]
    }
    return known if numerics == 1 else known | {"numerics": numerics}


@cache
def _defaults() -> Settings:
    return dict(_resolved(RunConfig()))


def config_hash(path: Path) -> str | None:
    """Hash of the run that a config.yml describes; None if the file is missing or invalid.

    ``init_from`` counts by its folder name alone if that run lies in the same output folder, so that
    the hash does not depend on where the folder is.
    """
    try:
        values = flat_settings(upgrade(read_mapping(path)[0]))
        config = parse_settings(values, str(path))
        numerics = run_numerics(path.parent)
    except UserError:
        return None
    start = config.model.init_from
    if start is not None and Path(start).parent == Path(config.output_dir):
        model = dataclasses.replace(config.model, init_from=Path(start).name)
        config = dataclasses.replace(config, model=model)
    return settings_hash(identity(config, numerics))


def settings_hash(values: Settings) -> str:
    """First 16 hexadecimal digits of the values' SHA-256; their order does not matter."""
    text = json.dumps(values, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _resolved(config: RunConfig) -> Iterator[tuple[str, Any]]:
    smoothness, proximal = resolve(config.smart, config.smoothness, config.proximal)
    config = dataclasses.replace(config, smoothness=smoothness, proximal=proximal)
    for name, value in flat_settings(dataclasses.asdict(config)).items():
        yield name, list(value) if isinstance(value, tuple) else value


def flat_settings(values: Mapping[str, Any]) -> Settings:
    """Settings by dotted name. A setting whose own value is a mapping is not flattened."""
    return flatten(values, leaves=_names())


@cache
def _names() -> frozenset[str]:
    return frozenset(name for name, _ in settings())
