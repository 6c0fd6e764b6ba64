"""Named choices: what a YAML file or a flag may say, and the object behind each name."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from data_utils.errors import UserError

T = TypeVar("T")


def choices_hint(name: object, choices: Iterable[str]) -> str:
    """The tail of an error message: the nearest valid name and all of them."""
    choices = sorted(choices)
    near = difflib.get_close_matches(str(name), choices, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"{hint} Choices: {', '.join(choices)}."


class Registry(Generic[T]):
    """Names of one kind of thing, with aliases for the spellings of other code bases."""

    def __init__(self, kind: str, *, check: Callable[[str, T], None] | None = None) -> None:
        """``check(name, entry)`` raises where an entry lacks what its kind must provide."""
        self.kind = kind
        self._check = check
        self._entries: dict[str, T] = {}
        self._aliases: dict[str, str] = {}

    def register(self, name: str, *aliases: str) -> Callable[[T], T]:
        """Decorator: file the object under ``name``; each alias resolves to ``name``."""

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
        """The registered spelling of ``name`` or of an alias.

        Raises:
            UserError: unknown name; says ``where``, the nearest name and the choices.
        """
        name = self._aliases.get(name, name)
        if name not in self._entries:
            place = f"{where}: " if where else ""
            raise UserError(
                f"{place}unknown {self.kind} {name!r}.{choices_hint(name, self._entries)}"
            )
        return name

    def get(self, name: str, where: str = "") -> T:
        """The object registered under ``name`` or an alias; errors as :meth:`canonical`."""
        return self._entries[self.canonical(name, where)]

    def __contains__(self, name: object) -> bool:
        return name in self._entries or name in self._aliases

    def names(self) -> list[str]:
        return sorted(self._entries)
