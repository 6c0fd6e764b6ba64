"""Settings without effect: those that only another setting switches on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mt_dnn.config.run import RunConfig

NEEDS: tuple[tuple[str, str, Callable[[RunConfig], bool]], ...] = (
    ("mixing.ratio", "mixing.name ratio", lambda c: c.mixing.name == "ratio"),
    ("mixing.temperature", "mixing.name temperature", lambda c: c.mixing.name == "temperature"),
    ("mixing.cap", "mixing.name capped", lambda c: c.mixing.name == "capped"),
    ("model.adapter_options", "model.adapter", lambda c: c.model.adapter is not None),
    ("batch.pool", "batch.group_by_length", lambda c: c.batch.group_by_length),
    *(
        (f"distill.{key}", "distill.soft_labels", lambda c: c.distill.soft_labels is not None)
        for key in ("weight", "temperature", "annealing")
    ),
)
"""Setting, what it needs, and whether a configuration has that."""


def settings_without_effect(config: RunConfig) -> Iterator[str]:
    """Yield a line for each setting that differs from its default and that nothing reads.

    Strategies from plugins may read every field of ``mixing``, and are left out.

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


def _is_builtin(name: str) -> bool:
    from data_utils.registries import MIXINGS

    return MIXINGS.is_builtin(name)
