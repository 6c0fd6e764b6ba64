"""Registries, which map the names used in YAML files and flags to objects."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from data_utils.errors import UserError

T = TypeVar("T")


def choices_hint(name: object, choices: Iterable[str]) -> str:
    """Return the end of an error message: the most similar valid name, and all valid names."""
    choices = sorted(choices)
    near = difflib.get_close_matches(str(name), choices, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"{hint} Choices: {', '.join(choices)}."


class Registry(Generic[T]):
    """Objects of one kind by name, with aliases for the names that other code bases use."""

    def __init__(self, kind: str, *, check: Callable[[str, T], None] | None = None) -> None:
        """Create an empty registry.

        Args:
            kind: what the names are, for error messages, such as "metric".
            check: called as ``check(name, entry)`` on registration; raises TypeError for an entry
                that lacks a required part.
        """
        self.kind = kind
        self._check = check
        self._entries: dict[str, T] = {}
        self._aliases: dict[str, str] = {}

    def register(self, name: str, *aliases: str) -> Callable[[T], T]:
        """Register the decorated object under ``name``; each alias resolves to ``name``."""

        def decorate(entry: T) -> T:
            for key in (name, *aliases):
                if key in self._entries or key in self._aliases:
                    raise ValueError(f"{self.kind} {key!r} is registered twice")
            if self._check is not None:
                self._check(name, entry)
            self._entries[name] = entry
            self._aliases.update(dict.fromkeys(aliases, name))
            return entry

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
        if name not in self._entries:
            place = f"{where}: " if where else ""
            raise UserError(
                f"{place}unknown {self.kind} {name!r}.{choices_hint(name, self._entries)}"
            )
        return name

    def get(self, name: str, where: str = "") -> T:
        """Return the object registered under a name or an alias; see :meth:`canonical`."""
        return self._entries[self.canonical(name, where)]

    def __contains__(self, name: object) -> bool:
        return name in self._entries or name in self._aliases

    def names(self) -> list[str]:
        """Return all registered names, sorted, without aliases."""
        return sorted(self._entries)
