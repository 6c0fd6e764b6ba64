"""A run's settings by dotted name, and what makes two runs the same. No torch here."""

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
from mt_dnn.config.parser import settings
from mt_dnn.config.run import RunConfig
from mt_dnn.config.smart import resolve

NOT_IDENTITY = (
    *("name", "output_dir", "resume", "overwrite"),
    *("data.store_dir", "data.on_stale", "system.threads", "system.workers", "smart"),
)
"""Settings that say where, not what, a run computes; and the preset, whose numbers stand for it."""

Settings = dict[str, Any]
"""Dotted name of a setting -> value."""


def parse_settings(values: Settings, where: str) -> RunConfig:
    """The run configuration that the settings describe, presets not yet filled in.

    Raises:
        UserError: a value has the wrong type, is out of its range or not one of the choices.
    """
    try:
        parsed = _parser().instantiate(_parser().parse_object(nest(values)))
        fields = {name: getattr(parsed, name) for name in RunConfig.__dataclass_fields__}
        config = RunConfig(**fields)
        resolve(config.smart, config.smoothness, config.proximal)
    except (ArgumentError, UserError) as error:
        raise UserError(f"{where}: {error}") from None
    return config


@cache
def _parser() -> ArgumentParser:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(RunConfig)
    return parser


def identity(config: RunConfig) -> Settings:
    """What a run computes, presets filled in, as far as it is not the default.

    Defaults are left out so that a setting which later code adds leaves old results known, and so are
    limits of tasks that the run does not train.
    """
    default = dict(_resolved(RunConfig()))
    limits = {t: n for t, n in config.data.train_limits.items() if t in (config.data.use or (t,))}
    config = dataclasses.replace(config, data=dataclasses.replace(config.data, train_limits=limits))
    return {
        name: value
        for name, value in _resolved(config)
        if name not in NOT_IDENTITY and value != default[name]
    }


def config_hash(path: Path) -> str | None:
    """The hash of the run that a config.yml describes; None where it is no such file.

    A run that starts from one beside it knows that by its folder's name alone, wherever both are.
    """
    try:
        values = dict(flatten(read_mapping(path)[0]))
        config = parse_settings(values, str(path))
    except UserError:
        return None
    start = config.model.init_from
    if start is not None and Path(start).parent == Path(config.output_dir):
        model = dataclasses.replace(config.model, init_from=Path(start).name)
        config = dataclasses.replace(config, model=model)
    return settings_hash(identity(config))


def settings_hash(values: Settings) -> str:
    """16 hexadecimal digits of the values' SHA-256, whatever their order."""
    text = json.dumps(values, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _resolved(config: RunConfig) -> Iterator[tuple[str, Any]]:
    smoothness, proximal = resolve(config.smart, config.smoothness, config.proximal)
    config = dataclasses.replace(config, smoothness=smoothness, proximal=proximal)
    for name, value in flatten(dataclasses.asdict(config)):
        yield name, list(value) if isinstance(value, tuple) else value


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """``{"data": {"use": 1}}`` -> ``("data.use", 1)``; a setting that is a mapping stays whole."""
    for key, value in values.items():
        if isinstance(value, dict) and f"{prefix}{key}" not in _names():
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


@cache
def _names() -> frozenset[str]:
    return frozenset(name for name, _ in settings())


def nest(values: Settings) -> dict[str, Any]:
    """The way back from :func:`flatten`."""
    nested: dict[str, Any] = {}
    for name, value in values.items():
        *sections, key = name.split(".")
        place = nested
        for section in sections:
            place = place.setdefault(section, {})
        place[key] = value
    return nested
