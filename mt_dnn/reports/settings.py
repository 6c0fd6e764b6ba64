"""The configuration of a run: what differs from the defaults, and between runs; and its provenance."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from mt_dnn.config.dotted import flatten
from mt_dnn.config.presets import PRESETS, resolve
from mt_dnn.config.run import RunConfig
from mt_dnn.reports.run_record import SECRET, RunRecord

OF_ONE_RUN = ("name", "output_dir", "resume", "overwrite")
"""Settings that do not count as a difference between runs."""
UNSET = "–"


@dataclass(frozen=True)
class SettingsView:
    """The settings of a run."""

    changed: list[tuple[str, str, str]]
    """Name, value and default of each setting that differs from its default."""
    preset: str
    """The preset of SMART, whose values are the defaults of smoothness and proximal."""
    config: str
    """All settings as YAML."""
    tasks: str


def settings_view(run: RunRecord) -> SettingsView:
    """The settings of a run, compared with the defaults of its preset."""
    own, defaults = flat(run.settings), default_settings(run)
    changed = [
        (name, in_yaml(value), in_yaml(defaults[name]) if name in defaults else UNSET)
        for name, value in own.items()
        if name not in OF_ONE_RUN and (name not in defaults or defaults[name] != value)
    ]
    return SettingsView(
        changed=changed,
        preset=str(run.settings.get("smart", "off")),
        config=_dump(run.settings),
        tasks=_dump(run.tasks) if run.tasks else "",
    )


def default_settings(run: RunRecord) -> dict[str, Any]:
    """The defaults by dotted name, those of smoothness and proximal as the run's preset sets them."""
    preset = str(run.settings.get("smart", "off"))
    config = RunConfig(smart=preset if preset in PRESETS else "off")
    smoothness, proximal = resolve(config.smart, config.smoothness, config.proximal)
    config = dataclasses.replace(config, smoothness=smoothness, proximal=proximal)
    values = {k: v for k, v in dataclasses.asdict(config).items() if k not in SECRET}
    return flat(values | {"smart": RunConfig().smart})


def flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by dotted name, with lists for tuples as YAML has them."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in flatten(values).items()
    }


def in_yaml(value: Any) -> str:
    """A value as YAML has it: ``null``, ``true``, ``[a, b]``; a string without quotes."""
    if isinstance(value, str):
        return value
    text: str = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000)
    return text.removesuffix("...\n").strip()


def _dump(values: Mapping[str, Any]) -> str:
    text: str = yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True)
    return text


@dataclass(frozen=True)
class Difference:
    """A setting or fact that is not the same in all runs."""

    name: str
    values: list[str]
    """One for each run."""
    is_default: list[bool]
    """Whether the value is the default."""


def setting_differences(runs: Sequence[RunRecord]) -> list[Difference]:
    """Settings that differ between runs. A setting that a run does not have counts as its default."""
    defaults = [default_settings(run) for run in runs]
    own = [default | flat(run.settings) for default, run in zip(defaults, runs, strict=True)]
    differences = []
    for name in dict.fromkeys(name for settings in own for name in settings):
        values = [in_yaml(settings[name]) if name in settings else UNSET for settings in own]
        if name not in OF_ONE_RUN and len(set(values)) > 1:
            is_default = [
                name in default and name in settings and default[name] == settings[name]
                for default, settings in zip(defaults, own, strict=True)
            ]
            differences.append(Difference(name, values, is_default))
    return differences


def fact_differences(runs: Sequence[RunRecord]) -> list[Difference]:
    """Facts of the environments that differ between runs: versions, device, data."""
    facts = [environment_facts(run) | data_facts(run) for run in runs]
    differences = []
    for name in dict.fromkeys(name for own in facts for name in own):
        values = [own.get(name, UNSET) for own in facts]
        if name != "command" and len(set(values)) > 1:
            differences.append(Difference(name, values, [False] * len(values)))
    return differences


def environment_facts(run: RunRecord) -> dict[str, str]:
    """What environment.json records, apart from the data: name -> text."""
    environment = run.environment
    command = environment.get("command", [])
    facts = {"command": " ".join(map(str, command)) if isinstance(command, list) else command}
    for key in ("device", "threads", "platform", "mt_dnn", "commit", "python"):
        facts[key] = environment.get(key)
    facts |= environment.get("packages", {})
    return {name: str(value) for name, value in facts.items() if value not in (None, "")}


def data_facts(run: RunRecord) -> dict[str, str]:
    """Split -> rows and the start of the fingerprint of its data."""
    return {
        f"data {split}": f"{entry.get('rows', UNSET)} rows, {str(entry.get('sha256', ''))[:12]}"
        for split, entry in run.environment.get("data", {}).items()
    }
