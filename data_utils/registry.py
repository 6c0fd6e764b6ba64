"""Registries, which map the names used in YAML files and flags to objects."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any, Generic, TypeVar

from data_utils.errors import UserError

T = TypeVar("T")
Registered = TypeVar("Registered")


def choices_hint(name: object, choices: Iterable[str]) -> str:
    """Return the end of an error message: the most similar valid name, and all valid names."""
    choices = sorted(choices)
    near = nearest(str(name), choices)
    hint = f" Did you mean {near!r}?" if near else ""
    return f"{hint} Choices: {', '.join(choices)}."


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """Return the most similar choice, without regard to upper and lower case; None if none is similar.

    A choice that ``name`` begins with, such as ``ACC`` for ``accuracy``, precedes other similar ones.
    """
    folded: dict[str, str] = {}
    for choice in choices:
        folded.setdefault(choice.casefold(), choice)
    word = name.casefold()
    begins = [c for c in folded if len(c) >= 3 and word.startswith(c)]
    near = difflib.get_close_matches(word, folded, n=1, cutoff=0.5)
    best = word if word in folded else max(begins, key=len, default=next(iter(near), None))
    return None if best is None else folded[best]


class Registry(Generic[T]):
    """Objects of one kind by name, with aliases for the names that other code bases use.

    Built-in objects are strings ``"module:name"``. The module is imported when its object is first
    used, so a registry itself costs no import. Code outside of this project adds objects by
    decorating a class or a function:

        >>> SHAPES: Registry[type] = Registry("shape", {"fraction": "fractions:Fraction"})
        >>> @SHAPES.register("square")
        ... class Square:
        ...     '''Four equal sides.'''
        >>> SHAPES.names()
        ['fraction', 'square']
        >>> SHAPES.get("square") is Square
        True
    """

    def __init__(
        self,
        kind: str,
        builtin: Mapping[str, str] | None = None,
        *,
        aliases: Mapping[str, str] | None = None,
        adapt: str | None = None,
    ) -> None:
        """Create a registry.

        Args:
            kind: what the names are, for error messages, such as "metric".
            builtin: name -> ``"module:name"`` of the object.
            aliases: further name -> name.
            adapt: ``"module:function"``, called as ``function(name, object)``. It checks an object and
                returns the entry that :meth:`get` gives out, or raises TypeError. By default the
                entry is the object itself.
        """
        self.kind = kind
        self._adapt = adapt
        self._builtin = frozenset(builtin or {})
        self._places = dict(builtin or {})
        self._aliases = dict(aliases or {})
        self._objects: dict[str, Any] = {}
        self._entries: dict[str, T] = {}

    def register(self, name: str, *aliases: str) -> Callable[[Registered], Registered]:
        """Register the decorated class or function under ``name``; aliases resolve to ``name``.

        Registering it again, as a notebook does when a cell is executed twice, replaces it.

        Raises:
            ValueError: the name or an alias belongs to another object.
            TypeError: the object lacks a part that its kind requires.
        """

        def decorate(thing: Registered) -> Registered:
            place = place_of(thing)
            for key in (name, *aliases):
                owner = self._places.get(self._aliases.get(key, key))
                if owner is not None and (owner != place or self._aliases.get(key, name) != name):
                    raise ValueError(f"{self.kind} {key!r} is already registered, by {owner}")
            entry = self._adapted(name, thing)
            self._places[name] = place
            self._objects[name] = thing
            self._entries[name] = entry
            self._aliases.update(dict.fromkeys(aliases, name))
            return thing

        return decorate

    def canonical(self, name: str, where: str = "") -> str:
        """Return the registered name for a name or an alias.

        Args:
            name: what the user wrote.
            where: place in the user's input, such as ``tasks.yml:3`` or the name of a setting; the
                error message begins with it.

        Raises:
            UserError: the name is unknown; the message has ``where`` and lists the choices.
        """
        name = self._aliases.get(name, name)
        if name not in self._places:
            place = f"{where}: " if where else ""
            hint = choices_hint(name, self._places)
            if "Did you mean" not in hint:
                hint += f" If a plugin registers {name!r}, name its module in plugins (--plugins)."
            raise UserError(f"{place}unknown {self.kind} {name!r}.{hint}")
        return name

    def get(self, name: str, where: str = "") -> T:
        """Return the object registered under a name or an alias; see :meth:`canonical`."""
        name = self.canonical(name, where)
        if name not in self._entries:
            self._entries[name] = self._adapted(name, self.source(name))
        return self._entries[name]

    def source(self, name: str) -> Any:
        """Return the class or function behind a registered name, before it is adapted."""
        if name not in self._objects:
            module, _, attribute = self._places[name].partition(":")
            self._objects[name] = getattr(import_module(module), attribute)
        return self._objects[name]

    def place(self, name: str) -> str:
        """Return ``"module:name"`` of the class or function behind a registered name."""
        return self._places[name]

    def is_builtin(self, name: str) -> bool:
        """Whether the name was given to the constructor, and not registered later."""
        return name in self._builtin

    def aliases(self, name: str) -> list[str]:
        """Return the aliases of a registered name, sorted."""
        return sorted(alias for alias, target in self._aliases.items() if target == name)

    def __contains__(self, name: object) -> bool:
        return name in self._places or name in self._aliases

    def names(self) -> list[str]:
        """Return all registered names, sorted, without aliases."""
        return sorted(self._places)

    def _adapted(self, name: str, thing: Any) -> T:
        if self._adapt is None:
            return thing
        module, _, function = self._adapt.partition(":")
        return getattr(import_module(module), function)(name, thing)


def place_of(thing: Any) -> str:
    """Return ``"module:name"`` of a class or function; of any other object, those of its class."""
    thing = inspect.unwrap(thing) if callable(thing) else thing
    named = thing if hasattr(thing, "__qualname__") else type(thing)
    return f"{named.__module__}:{named.__qualname__}"
