"""The command ``mt-dnn list``: registered kinds, what each is, its options and its origin."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from data_utils.errors import UserError
from data_utils.flags import FlagParser
from data_utils.plugins import add_plugins_flag, import_plugins
from data_utils.registries import FORMATS, METRICS, MIXINGS
from data_utils.registry import Registry, choices_hint
from mt_dnn.registries import (
    ADAPTERS,
    CHALLENGES,
    COMBINATIONS,
    DIVERGENCES,
    LOSS_TERMS,
    MERGES,
    OPTIMIZERS,
    PERTURBATIONS,
    SCHEDULES,
    TASK_TYPES,
    TRACKERS,
)


class Kind(NamedTuple):
    """One kind of choice."""

    registry: Registry[Any]
    setting: str
    """The setting, or the key of a task file, that takes the names."""
    options: str | None = None
    """The setting or key that takes the options; None if the kind has none."""


KINDS = {
    "task_type": Kind(TASK_TYPES, "task_type of a task", "options of the task"),
    "data_format": Kind(FORMATS, "data_format of a task", "options of the task"),
    "metric": Kind(METRICS, "metric_meta of a task"),
    "mixing": Kind(MIXINGS, "--mixing.name", "--mixing.options"),
    "divergence": Kind(DIVERGENCES, "--smoothness.divergence; adv_loss and kd_loss of a task"),
    "merge": Kind(MERGES, "windows of a task: merge"),
    "term": Kind(LOSS_TERMS, "--terms+", "options of the term"),
    "adapter": Kind(ADAPTERS, "--model.adapter", "--model.adapter_options"),
    "optimizer": Kind(OPTIMIZERS, "--optim.name", "--optim.options"),
    "schedule": Kind(SCHEDULES, "--optim.schedule", "--optim.schedule_options"),
    "combine": Kind(COMBINATIONS, "--optim.combine", "--optim.combine_options"),
    "tracker": Kind(TRACKERS, "--trackers", "--tracker_options.NAME"),
    "perturbation": Kind(
        PERTURBATIONS, "--perturb of mt-dnn robustness", "--perturb NAME=RATE for the rate"
    ),
    "challenge": Kind(CHALLENGES, "--challenge of mt-dnn robustness"),
}


def main(args: Sequence[str] | None = None, *, prog: str = "mt-dnn list") -> None:
    """Run the command; ``args`` defaults to those of the process.

    Raises:
        UserError: the kind is unknown, or a plugin cannot be imported.
    """
    parser = FlagParser(
        prog=prog,
        description="Print the registered kinds, what each is, its options and where it comes from.",
    )
    parser.add_argument("kind", nargs="?", help=f"One of {', '.join(KINDS)}. Default: all.")
    add_plugins_flag(parser)
    options = parser.parse_args(args)
    if options.kind not in (None, *KINDS):
        raise UserError(f"unknown kind {options.kind!r}.{choices_hint(options.kind, KINDS)}")
    import_plugins(options.plugins, "--plugins")
    for kind in [options.kind] if options.kind else KINDS:
        _, setting, its_options = KINDS[kind]
        print(f"{kind}: {setting}{f'; options: {its_options}' if its_options else ''}")
        lines = list(describe(KINDS[kind]))
        print("\n".join(lines or ["  none is built in; a plugin can register one"]), end="\n\n")


def describe(kind: Kind) -> Iterator[str]:
    """Yield the lines that describe the entries of a registry."""
    registry = kind.registry
    width = max(map(len, registry.names()), default=0)
    for name in registry.names():
        source = registry.source(name)
        summary = (inspect.getdoc(source) or "").split("\n")[0]
        yield f"  {name:<{width}}  {summary}".rstrip()
        options = options_of(source) if kind.options else {}
        notes = {
            "options": ", ".join(f"{key}={value!r}" for key, value in options.items()),
            "also": ", ".join(registry.aliases(name)),
            "from": "" if registry.is_builtin(name) else registry.place(name),
        }
        for label, text in notes.items():
            if text:
                indent = " " * (width + 4)
                yield textwrap.fill(
                    f"{label}: {text}", 100, initial_indent=indent, subsequent_indent=indent + "  "
                )


def options_of(source: Any) -> dict[str, Any]:
    """Return the options of a kind with their defaults; ``...`` for a required option.

    Task types and data formats have a dict ``options``. The options of all other kinds are keyword-only
    parameters.
    """
    from mt_dnn.config.options import declared_options

    if isinstance(declared := getattr(source, "options", None), dict):
        return declared
    parameters = declared_options(source).values()
    return {p.name: ... if p.default is p.empty else p.default for p in parameters}
