"""Import the user's own modules, so that registries know the kinds which they register."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from data_utils.errors import UserError

LIBRARY = (str(Path(__file__).parent), str(Path(__file__).parents[1] / "mt_dnn"))
"""Folders of this project: a mistake that is noticed here was made in the plugin."""
PLUGINS_HELP = "Plugins to import first: names of Python modules, separated by commas."


def module_names(text: str | tuple[str, ...]) -> tuple[str, ...]:
    """Split the value of ``--plugins``: ``"a,b.c"`` -> ``("a", "b.c")``; names that are split stay."""
    if isinstance(text, tuple):  # the default, which jsonargparse converts too
        return text
    return tuple(name.strip() for name in text.split(",") if name.strip())


def add_plugins_flag(parser: Any) -> None:
    """Add ``--plugins a,b`` to a parser of argparse or jsonargparse; without it, no names."""
    parser.add_argument(
        "--plugins", type=module_names, default=(), metavar="MODULE,...", help=PLUGINS_HELP
    )


def import_plugins(names: Iterable[str], where: str = "plugins") -> None:
    """Import modules by name. Modules in the current folder are found first.

    A module that is already imported is not executed again.

    Args:
        names: module names, such as ``my_tasks`` or ``my_package.terms``.
        where: the setting or flag, for the message.

    Raises:
        UserError: there is no such module, or importing it fails; the message has the file and line.
    """
    if not isinstance(names, (list, tuple, set, frozenset)):
        raise UserError(f"{where}: {names!r} is not a list of module names, such as ['my_plugin']")
    for name in names:
        parts = name.removesuffix(".py").replace("\\", "/").strip("/").split("/")
        if name.endswith(".py") or not all(part.isidentifier() for part in name.split(".")):
            is_path = name.endswith(".py") or "/" in name or "\\" in name
            words = [part for part in parts if part != "."]
            hint = (
                f"; write {'.'.join(words)}"
                if is_path and all(map(str.isidentifier, words))
                else ""
            )
            raise UserError(f"{where}: {name!r} is not the name of a Python module{hint}")
        with current_folder_first():
            try:
                import_module(name)
            except ModuleNotFoundError as error:
                if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                    raise _failure(name, error, where) from error
                raise UserError(
                    f"{where}: there is no module {name!r} in {Path.cwd()} or among the installed "
                    f"packages. Change to the folder that has it, or add that folder to PYTHONPATH"
                ) from None
            except UserError:
                raise
            # SystemExit too: a module that calls sys.exit would end the run.
            except (Exception, SystemExit) as error:
                raise _failure(name, error, where) from error


@contextmanager
def current_folder_first() -> Iterator[None]:
    """Put the current folder first on sys.path within the block, and last after it.

    A plugin may import its neighbours later, but a file of the user's must not replace a library that
    is imported only then.
    """
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
        if folder not in sys.path:
            sys.path.append(folder)


def _failure(name: str, error: BaseException, where: str) -> UserError:
    """Describe an error inside of a plugin by its last line of code."""
    if isinstance(error, SyntaxError):
        place = f"{error.filename}:{error.lineno}"
    else:
        frames = traceback.extract_tb(error.__traceback__)
        ours = [
            f
            for f in frames
            if not f.filename.startswith(LIBRARY) and "importlib" not in f.filename
        ]
        last = (ours or frames)[-1]
        place = f"{last.filename}:{last.lineno}"
    return UserError(
        f"{where}: importing {name} failed at {place}: {type(error).__name__}: {error}"
    )
