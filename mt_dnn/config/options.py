"""Options of registered kinds: the keyword-only parameters of a class or function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, get_type_hints

from jsonargparse import ArgumentError, ArgumentParser

from data_utils.errors import UserError
from data_utils.registry import choices_hint
from mt_dnn.config.messages import expected, reworded

T = TypeVar("T")


def declared_options(target: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return the options of a class or function: its keyword-only parameters by name."""
    parameters = inspect.signature(target).parameters.values()
    return {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY}


def parse_options(
    target: Callable[..., Any], given: Mapping[str, Any], *, name: str, where: str, advice: str = ""
) -> dict[str, Any]:
    """Check options against the parameters of a class or function, and convert their types.

    Args:
        target: the registered class or function.
        given: option -> value, as YAML reads it.
        name: registered name of the target, for messages.
        where: the setting, for messages.
        advice: end of the message about an unknown option.

    Returns:
        The given options, converted: a text or a whole number becomes a float where one is declared.

    Raises:
        UserError: an option is unknown or missing, or a value has the wrong type. A target that takes
            ``**options`` accepts every option.
    """
    declared = declared_options(target)
    parameters = inspect.signature(target).parameters.values()
    passes_on = any(p.kind is p.VAR_KEYWORD for p in parameters)  # to a library that checks them
    for option in given:
        if option not in declared and not passes_on:
            choices = choices_hint(option, declared) if declared else " It has no options."
            raise UserError(f"{where}: {name} has no option {option!r}.{choices}{advice}")
    for option, parameter in declared.items():
        if parameter.default is parameter.empty and option not in given:
            raise UserError(f"{where}: {name} needs the option {option!r}")
    types = _types(target)
    return {
        option: _converted(value, types.get(option, Any), f"{where}: {option}")
        for option, value in given.items()
    }


def parse_section(cls: type[T], given: Mapping[str, Any], where: str) -> T:
    """Build a section of settings, such as ModelConfig, from values that were read from a file.

    Raises:
        UserError: a key is unknown, or a value has the wrong type; the message begins with ``where``.
    """
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(cls)
    try:
        return cls(**vars(parser.instantiate(parser.parse_object(dict(given)))))
    except (ArgumentError, TypeError) as error:
        raise UserError(f"{where}: {reworded(str(error), get_type_hints(cls))}") from None


def _types(target: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(
            inspect.getattr_static(target, "__init__") if isinstance(target, type) else target
        )
    except NameError:  # an annotation that only type checkers can resolve; the value is not checked
        return {}


def _converted(value: Any, hint: Any, where: str) -> Any:
    if hint is Any:
        return value
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--value", type=hint)
    try:
        return parser.instantiate(parser.parse_object({"value": value})).value
    except ArgumentError:
        raise UserError(f"{where}: {expected(hint, value)}") from None
