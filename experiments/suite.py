"""What every suite's prepare.py does around reading its benchmark's own files: choose, write, count."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from data_utils.canonical import write_rows
from data_utils.errors import UserError
from data_utils.formats import Row
from data_utils.registry import choices_hint
from data_utils.sources import complete
from data_utils.task_def import TaskDef

SKIPS_SHOWN = 20

Cells = Sequence[str]
"""One row in the order of the task's canonical columns."""
Splits = dict[str, Iterable[Cells]]
"""Split -> its rows."""
Skipped = list[str]
"""A line for each row that was left out: its place, and why."""


def choose_tasks(task_file: Path, names: str) -> dict[str, TaskDef]:
    """The tasks of a suite's file named in a comma list; all of them where it is empty.

    Raises:
        UserError: an unknown name, or a fault in the file.
    """
    from mt_dnn.task_types import load_tasks

    tasks = load_tasks(task_file)
    chosen = [name.strip() for name in names.split(",") if name.strip()] or list(tasks)
    for name in chosen:
        if name not in tasks:
            raise UserError(f"unknown task {name!r}.{choices_hint(name, tasks)}")
    return {name: tasks[name] for name in chosen}


def write_tasks(
    tasks: dict[str, TaskDef],
    read: Callable[[TaskDef, Skipped], Splits],
    *,
    source: str,
    out: str,
) -> None:
    """Write ``{out}/{task}_{split}.tsv`` for all that ``read`` finds, and print the counts.

    Args:
        read: (task, skipped) -> the rows of the splits whose files are there; it appends to ``skipped``
            what it leaves out, and prints which files it misses.
        source: for messages.

    Raises:
        UserError: nothing found, or a split without rows.
    """
    written = 0
    for name, task in tasks.items():
        skipped: Skipped = []
        for split, rows in read(task, skipped).items():
            path = Path(out) / f"{name}_{split}.tsv"
            all_rows = list(rows)  # read to the end first: a bad file leaves no half-written one
            if not all_rows:
                raise UserError(f"{name} {split}: no rows in {source}; {len(skipped)} skipped")
            print(f"{name} {split}: {write_rows(path, all_rows)} rows -> {path}")
            written += 1
        _tell_skipped(name, skipped)
    if not written:
        raise UserError(f"nothing found in {source} for {', '.join(tasks)}")


def _tell_skipped(name: str, skipped: Skipped) -> None:
    if not skipped:
        return
    print(f"{name} skipped {len(skipped)} lines:")
    for line in islice(skipped, SKIPS_SHOWN):
        print(f"        {line}")
    if len(skipped) > SKIPS_SHOWN:
        print(f"        and {len(skipped) - SKIPS_SHOWN} more")


def check_source(source: str) -> None:
    """``source`` is a folder, or the word hub.

    Raises:
        UserError: neither.
    """
    if source != "hub" and not Path(source).is_dir():
        raise UserError(f"--source {source}: no such folder (or give `hub`)")


def load_hub(name: str, config: str | None = None, *, revision: str | None = None) -> Any:
    """The Hugging Face hub's dataset: split -> rows by column name.

    Raises:
        UserError: the hub cannot be reached or lacks the dataset.
    """
    from datasets import load_dataset

    where = f"{name} ({config})" if config else name
    try:
        return load_dataset(name, config, revision=revision)
    except Exception as error:  # the library raises many kinds; all mean: not loadable
        reason = (str(error).strip() or repr(error)).splitlines()[0]
        raise UserError(f"{where} cannot be loaded from the hub: {reason}") from None


def checked_label(label: str, task: TaskDef, where: str) -> str:
    """The label as it came, if it is one of the task's.

    Raises:
        UserError: it is not; names the place and the choices.
    """
    try:
        task.encode_label(label)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    return label


def numbered_lines(path: Path) -> Iterator[tuple[str, str]]:
    """``file:line`` and text of every line; lines end at \\n alone, for a text may hold \\r.

    Raises:
        UserError: not UTF-8.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="\n") as stream:
            for number, line in enumerate(stream, start=1):
                yield f"{path}:{number}", line.rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8: {error}") from None


def read_table(path: Path, skipped: Skipped) -> Iterator[Row]:
    """The records of a tab-separated file whose header names the download's fields.

    A line that cannot be a record is left out, and ``skipped`` gets its place and why.
    """
    lines = ((where, line.split("\t")) for where, line in numbered_lines(path))
    _, header = next(lines, ("", []))
    for index, (where, cells) in enumerate(lines):
        if len(cells) == len(header):
            yield Row(complete(dict(zip(header, cells, strict=True)), index), where)
        else:
            skipped.append(f"{where}: {len(cells)} columns instead of {len(header)}")
