"""Checks of a task definition that task types share."""

from __future__ import annotations

from collections.abc import Iterable
from types import NoneType
from typing import TYPE_CHECKING, Any

from data_utils.errors import UserError
from data_utils.formats import DataFormat
from data_utils.registries import FORMATS
from data_utils.registry import choices_hint
from data_utils.task_def import TaskDef
from mt_dnn.config.messages import expected
from mt_dnn.registries import DIVERGENCES, MERGES, TASK_TYPES

if TYPE_CHECKING:
    from mt_dnn.task_types.base import TaskType

KD_LOSSES = {"mse": "mean_squared_error", "MseCriterion": "mean_squared_error"}
"""Names that mean another divergence as ``kd_loss`` than as ``adv_loss``: MT-DNN's distillation takes the
mean of the squared differences over examples and classes, and SMART the sum over classes."""


def _fits(data_format: DataFormat, cls: type[TaskType]) -> bool:
    """Whether the rows of a format have the label and the candidates, or none, that a type needs."""
    return cls.label in data_format.labels and cls.has_candidates == data_format.has_candidates


def check_format(task: TaskDef, cls: type[TaskType]) -> None:
    """Raise UserError if the task's data format does not fit its type."""
    own = FORMATS.get(task.data_format)
    if _fits(own, cls):
        return
    formats = [name for name in FORMATS.names() if _fits(FORMATS.get(name), cls)]
    types = [name for name in TASK_TYPES.names() if _fits(own, TASK_TYPES.get(name))]
    if cls.label in own.labels:
        held, needed = (
            "candidates" if some else "no candidates"
            for some in (own.has_candidates, cls.has_candidates)
        )
    else:
        held, needed = " or ".join(map(str, own.labels)), str(cls.label)
    raise UserError(
        f"{task.where}: data_format: {task.data_format!r} does not fit task_type {task.task_type}: "
        f"its rows hold {held}, and {task.task_type} needs {needed}."
        f"{choices_hint(task.data_format, formats)} "
        f"Task types for {task.data_format}: {', '.join(types) or 'none'}."
    )


def check_pair_settings(task: TaskDef, cls: type[TaskType]) -> None:
    """Raise UserError for a SAN head that the type lacks, or a comparison of texts where there is one."""
    if task.enable_san and not cls.takes_san:
        able = [name for name in TASK_TYPES.names() if TASK_TYPES.get(name).takes_san]
        raise UserError(
            f"{task.where}: enable_san: task_type {task.task_type} has no SAN head; these have: "
            f"{', '.join(able)}"
        )
    if len(FORMATS.get(task.data_format).text_columns) < 2:
        for key, given in (
            ("pooling: pair", task.pooling == "pair"),
            ("enable_san: true", task.enable_san),
        ):
            if given:
                raise UserError(
                    f"{task.where}: {key} compares two texts, and rows of {task.data_format} have one; "
                    f"remove it"
                )


def check_windows(task: TaskDef, cls: type[TaskType]) -> None:
    """Raise UserError if the rows or the logits of the task have no place for windows."""
    if task.windows is None:
        return
    where = f"{task.where}: windows"
    if not FORMATS.get(task.data_format).takes_windows:
        able = [name for name in FORMATS.names() if FORMATS.get(name).takes_windows]
        raise UserError(
            f"{where}: rows of {task.data_format} have no such windows; remove the key. Data formats with "
            f"windows: {', '.join(able)}"
        )
    if not cls.has_fixed_shape:
        able = [name for name in TASK_TYPES.names() if TASK_TYPES.get(name).has_fixed_shape]
        raise UserError(
            f"{where}: windows merge one vector of logits each, which {task.task_type} does not have; remove "
            f"the key. Task types with windows: {', '.join(able)}"
        )
    MERGES.canonical(task.windows.merge, f"{where}: merge")


def complete_options(task: TaskDef, defaults: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a task, completed by the defaults.

    Raises:
        UserError: an option is unknown, or its value has another type than the default.
    """
    for name, value in task.options.items():
        where = f"{task.where}: options: {name}"
        if name not in defaults:
            raise UserError(
                f"{where}: {task.task_type} on {task.data_format} has no such option."
                f"{choices_hint(name, defaults) if defaults else ' It has no options.'}"
            )
        wanted = type(defaults[name])  # a default of None takes every value
        is_number = wanted is float and type(value) is int
        if wanted is not NoneType and type(value) is not wanted and not is_number:
            raise UserError(f"{where}: {expected(wanted, value)}")
    return defaults | task.options


def check_choice(task: TaskDef, key: str, given: str | None, choices: Iterable[str]) -> None:
    """Raise UserError if the value of a key is set and not one of the choices."""
    if given is not None and given not in choices:
        hint = choices_hint(given, choices)
        if key == "loss":
            own = FORMATS.get(task.data_format)
            kinds = ((name, TASK_TYPES.get(name)) for name in TASK_TYPES.names())
            able = [name for name, kind in kinds if given in kind.losses and _fits(own, kind)]
            hint += (
                f" Task types of {task.data_format} with {given}: {', '.join(able)}."
                if able
                else ""
            )
        raise UserError(
            f"{task.where}: {key}: {given!r} does not fit task_type {task.task_type}.{hint}"
        )


def checked_divergence(
    task: TaskDef, key: str, given: str | None, cls: type[TaskType]
) -> str | None:
    """Return the registered name of a divergence of the task file; None stays None.

    Args:
        key: ``kd_loss`` or ``adv_loss``.
        given: its value.

    Raises:
        UserError: there is no such divergence, or it does not fit the output of the type.
    """
    if given is None:
        return None
    if given not in DIVERGENCES:
        raise UserError(
            f"{task.where}: {key}: unknown divergence {given!r}."
            f"{choices_hint(given, cls.divergences())}"
        )
    name = DIVERGENCES.canonical(given)
    if key == "kd_loss":
        name = KD_LOSSES.get(given, name)
    check_choice(task, key, name, cls.divergences())
    return name


def check_class_count(task: TaskDef, at_least: int) -> None:
    """Check that n_class is large enough and equals the number of labels, if there are labels.

    Raises:
        UserError: it is missing, too small, or differs from the number of labels.
    """
    if not task.n_class:
        raise UserError(f"{task.where}: {task.task_type} needs labels, or n_class")
    if task.n_class < at_least:
        raise UserError(
            f"{task.where}: n_class: {task.n_class}; {task.task_type} needs at least {at_least}"
        )
    if task.labels and len(task.labels) != task.n_class:
        raise UserError(
            f"{task.where}: n_class: {task.n_class} but {len(task.labels)} labels: "
            f"{', '.join(task.labels)}. Remove n_class, which the labels give, or correct the labels"
        )
