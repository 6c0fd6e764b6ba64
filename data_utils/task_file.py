"""Read and check task files: YAML files with one entry per task."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from data_utils.errors import UserError, shown
from data_utils.names import check_name
from data_utils.registry import choices_hint
from data_utils.strict_yaml import read_mapping
from data_utils.task_agreement import check_file_names, check_shared_heads
from data_utils.task_def import TaskDef, pick_tasks
from data_utils.task_entry import task_def

TASK_FILE = "task file", "name: {data_format: ..., ...}"
"""What messages call the file and its entries."""
AUTO = "auto"
"""Value of ``labels``: those of the train split."""


def read_task_file(
    path: str | Path,
    check: Callable[[TaskDef], TaskDef],
    *,
    use: Iterable[str] = (),
    where: str | None = None,
    find_labels: Callable[[TaskDef], tuple[str, ...]] | None = None,
) -> dict[str, TaskDef]:
    """Read tasks of a file. Entries that are not read are not checked.

    Use :func:`mt_dnn.task_types.load_tasks`, which also checks the task types.

    Args:
        path: the task file.
        check: function that checks and completes a definition. It is an argument because the task
            types are in mt_dnn, which this package must not import.
        use: names of the tasks to read, in order; no names: all tasks, in the order of the file.
        where: the setting with the names and the file, for the message about an unknown name.
        find_labels: function that returns the labels of a task with ``labels: auto``. It receives a
            definition whose only label is ``auto``. None: such a task is an error.

    Raises:
        UserError: there is no task of a name, or its entry is invalid; the message has file, line,
            task and the valid choices.
    """
    path = Path(path)
    entries, lines = read_mapping(path, *TASK_FILE)
    tasks = {}
    for name in pick_tasks(entries, use, where=where or str(path)):
        where = f"{path}:{lines.get(name, 1)}: task {name!r}"
        check_name(name, where)
        try:
            keys = _extend(name, entries, path, where, seen=())
            tasks[name] = check(_resolved(name, keys, where, find_labels))
        except UserError as error:
            raise UserError(_at_key(str(error), name, path, lines)) from None
    check_shared_heads(tasks)
    check_file_names(tasks)
    return tasks


KEY = re.compile(r"(?:(?:unknown )?key '|unknown )?(\w+)\b")
"""The key that a message is about, at its beginning."""


def _at_key(message: str, name: str, path: Path, lines: dict[str, int]) -> str:
    """Replace the line of an entry in a message by the line of the key that it is about."""
    start = f"{path}:{lines.get(name, 1)}: task {name!r}: "
    found = KEY.match(message.removeprefix(start)) if message.startswith(start) else None
    line = lines.get(f"{name}.{found[1]}") if found else None
    if line is None:
        return message
    return f"{path}:{line}: task {name!r}: {message.removeprefix(start)}"


def check_task_names(path: str | Path, names: Iterable[str], *, where: str) -> None:
    """Check that a task file has an entry for each name; the entries are not checked.

    Args:
        where: the setting with the names and the file, for the message.

    Raises:
        UserError: there is no entry of a name, or the file cannot be read.
    """
    if names := list(names):
        pick_tasks(read_mapping(Path(path), *TASK_FILE)[0], names, where=where)


def _extend(
    name: str, entries: dict, path: Path, where: str, seen: tuple[tuple[Path, str], ...]
) -> dict:
    """Merge the keys of an entry with those of the task that it extends.

    ``extends`` is ``name`` for a task of the same file, or ``file.yml#name``. Keys of the entry override
    inherited keys. ``seen`` has the (file, task) pairs extended so far, to detect cycles.
    """
    if (path.resolve(), name) in seen:
        names = " -> ".join([*(before for _, before in seen), name])
        raise UserError(f"{where}: extends forms a cycle: {names}")
    entry = entries[name]
    if not isinstance(entry, dict):
        raise UserError(f"{where}: expected keys such as data_format, found {shown(entry)}")
    own = {key: value for key, value in entry.items() if key != "extends"}
    if (parent := entry.get("extends")) is None:
        return own
    seen = (*seen, (path.resolve(), name))
    file, _, parent = str(parent).rpartition("#")
    if file:
        path = path.parent / file
        entries, _ = read_mapping(path, *TASK_FILE)
    if parent not in entries:
        raise UserError(
            f"{where}: extends: {path} has no task {parent!r}.{choices_hint(parent, entries)}"
        )
    return _extend(parent, entries, path, where, seen) | own


def _resolved(
    name: str,
    keys: dict[str, Any],
    where: str,
    find_labels: Callable[[TaskDef], tuple[str, ...]] | None,
) -> TaskDef:
    """Return the definition of an entry, with the labels of train in place of ``labels: auto``.

    Raises:
        UserError: the entry is invalid, or its rows are not known.
    """
    if keys.get("labels") != AUTO:
        return task_def(name, keys, where)
    if find_labels is None:
        raise UserError(
            f"{where}: labels: auto needs the rows of the train split, which are not read here; list "
            f"the labels, as in tasks.yml of a run that has trained this task"
        )
    draft = task_def(name, keys | {"labels": [AUTO], "n_class": None}, where)
    labels = list(find_labels(draft))
    return replace(task_def(name, keys | {"labels": labels}, where), auto_labels=True)
