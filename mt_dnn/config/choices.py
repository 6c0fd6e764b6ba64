"""Check the settings that name a registered kind. Imports the run's plugins first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from data_utils.plugins import import_plugins
from data_utils.registries import MIXINGS
from data_utils.registry import Registry
from mt_dnn.config.options import parse_options
from mt_dnn.config.presets import check_preset
from mt_dnn.config.run import RunConfig
from mt_dnn.registries import (
    ADAPTERS,
    COMBINATIONS,
    DIVERGENCES,
    LOSS_TERMS,
    OPTIMIZERS,
    REGISTRIES,
    SCHEDULES,
    TRACKERS,
)

CHOICES: dict[str, tuple[Registry[Any], str | None]] = {
    "mixing.name": (MIXINGS, "mixing.options"),
    "model.adapter": (ADAPTERS, "model.adapter_options"),
    "optim.name": (OPTIMIZERS, "optim.options"),
    "optim.schedule": (SCHEDULES, "optim.schedule_options"),
    "optim.combine": (COMBINATIONS, "optim.combine_options"),
    "smoothness.divergence": (DIVERGENCES, None),
}
"""Setting -> its registry, and the setting with the options of the chosen kind."""


def check_choices(config: RunConfig, where: Callable[[str], str] = str) -> RunConfig:
    """Import the plugins of a run, then check every setting that names a registered kind.

    Args:
        where: maps the name of a setting to its place, the start of an error message.

    Returns:
        A copy with registered names in place of aliases, and with converted options.

    Raises:
        UserError: a plugin cannot be imported, a name is not registered, or an option is wrong.
    """
    import_plugins(config.plugins, where("plugins"))
    config = replace(config, plugins=(*config.plugins, *_other_plugins(config.plugins)))
    check_preset(config.smart, where("smart"))
    for setting, (registry, options) in CHOICES.items():
        section, field = setting.split(".")
        values = getattr(config, section)
        name = getattr(values, field)
        if name is None:
            continue
        name = registry.canonical(name, where(setting))
        changed: dict[str, Any] = {field: name}
        if options is not None:
            key = options.split(".")[1]
            given = getattr(values, key)
            advice = f" {options}: {{}} removes those that were given with another name."
            changed[key] = _options(registry, name, given, where(options), advice)
        config = replace(config, **{section: replace(values, **changed)})
    terms = []
    for term in config.terms:
        kind = LOSS_TERMS.canonical(term.name, where("terms"))
        checked = _options(LOSS_TERMS, kind, term.options, f"{where('terms')}: options")
        terms.append(replace(term, name=kind, options=checked))
    trackers = tuple(TRACKERS.canonical(name, where("trackers")) for name in config.trackers)
    place, tracker_options = where("tracker_options"), {}
    for given, values in config.tracker_options.items():
        name = TRACKERS.canonical(given, place)
        tracker_options[name] = _options(TRACKERS, name, values, place)
    return replace(config, terms=terms, trackers=trackers, tracker_options=tracker_options)


def _other_plugins(named: Sequence[str]) -> list[str]:
    """Return modules outside of ``named`` that have registered a kind, as a script's own imports do.

    A run that records them can be resumed and loaded in another process.
    """
    places = {
        registry.place(name).partition(":")[0]
        for registry in REGISTRIES
        for name in registry.names()
        if not registry.is_builtin(name)
    }
    inside = tuple(f"{name}." for name in named)
    return sorted(m for m in places if m not in (*named, "__main__") and not m.startswith(inside))


def _options(
    registry: Registry[Any], name: str, given: dict[str, Any], where: str, advice: str = ""
) -> dict[str, Any]:
    """Check the options of a kind. A built-in kind without options costs no import."""
    if not given and registry.is_builtin(name):
        return given
    return parse_options(registry.source(name), given, name=name, where=where, advice=advice)
