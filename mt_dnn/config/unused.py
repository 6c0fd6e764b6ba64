"""Settings without effect: those that only another setting switches on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

from mt_dnn.config.presets import PRESETS, resolve
from mt_dnn.config.run import RunConfig
from mt_dnn.config.smart import ProximalConfig, SmoothnessConfig

NEEDS: tuple[tuple[str, str, Callable[[RunConfig], bool]], ...] = (
    ("mixing.ratio", "mixing.name ratio", lambda c: c.mixing.name == "ratio"),
    ("mixing.temperature", "mixing.name temperature", lambda c: c.mixing.name == "temperature"),
    ("mixing.cap", "mixing.name capped", lambda c: c.mixing.name == "capped"),
    ("model.adapter_options", "model.adapter", lambda c: c.model.adapter is not None),
    *(
        (f"optim.{key}", "optim.name adamw, adamax or radam", lambda c: c.optim.name != "sgd")
        for key in ("betas", "eps")
    ),
    ("batch.pool", "batch.group_by_length", lambda c: c.batch.group_by_length),
    *(
        (f"distill.{key}", "distill.soft_labels", lambda c: c.distill.soft_labels is not None)
        for key in ("weight", "temperature", "annealing")
    ),
)
"""Setting, what it needs, and whether a configuration has that."""


def settings_without_effect(config: RunConfig, tasks: Collection[str] = ()) -> Iterator[str]:
    """Yield a line for each setting that differs from its default and that nothing reads.

    Strategies from plugins may read every field of ``mixing``, and are left out.

    Args:
        config: resolved or not.
        tasks: names of the tasks that the run trains; empty: not known.

    Example:
        >>> from mt_dnn.config.run import MixingConfig
        >>> print(*settings_without_effect(RunConfig(mixing=MixingConfig(temperature=5.0))))
        mixing.temperature 5.0 has no effect: it needs mixing.name temperature
    """
    default = RunConfig()
    for setting, needed, is_on in NEEDS:
        section, key = setting.split(".")
        value = getattr(getattr(config, section), key)
        if value != getattr(getattr(default, section), key) and not is_on(config):
            if section == "mixing" and not _is_builtin(config.mixing.name):
                continue
            yield f"{setting} {value} has no effect: it needs {needed}"
    yield from _switched_off(config)
    for task, limit in config.data.train_limits.items():
        if tasks and task not in tasks:
            yield f"data.train_limits {task} {limit} has no effect: the run does not train {task}"
    for tracker in config.tracker_options:
        if tracker not in (*config.trackers, "jsonl"):
            yield f"tracker_options {tracker} has no effect: it needs trackers {tracker}"


def _switched_off(config: RunConfig) -> Iterator[str]:
    """Yield a line for each field of SMART's terms that is set although the weight of the term is 0."""
    smoothness, proximal = resolve(config.smart, config.smoothness, config.proximal)
    radius = SmoothnessConfig(epsilon=smoothness.epsilon)  # step_size and sigma follow it
    of_preset, of_proximal = resolve(config.smart, radius, ProximalConfig())
    of_preset = replace(of_preset, epsilon=PRESETS[config.smart][0].epsilon)
    pairs = {"smoothness": (smoothness, of_preset), "proximal": (proximal, of_proximal)}
    for name, (own, default) in pairs.items():
        values = vars(own)
        for key, value in values.items():
            if values["weight"] == 0 and key != "weight" and value != getattr(default, key):
                needed = f"{name}.weight above 0, which a preset such as smart sets"
                yield f"{name}.{key} {value} has no effect: it needs {needed}"


def _is_builtin(name: str) -> bool:
    from data_utils.registries import MIXINGS

    return MIXINGS.is_builtin(name)
