"""Functions shared by the prepare scripts: select tasks, read lines, check labels, write rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from data_utils.canonical import write_rows
from data_utils.errors import UserError
from data_utils.formats import Row
from data_utils.sources import complete
from data_utils.task_def import TaskDef
from data_utils.utf8 import numbered, open_lines

SKIPS_SHOWN = 20

Cells = Sequence[str]
"""The cells of one row, in the order of the task's canonical columns."""
Splits = dict[str, Iterable[Cells]]
"""Split -> its rows."""
Skipped = list[str]
"""A line for each row that was left out, with its location and the reason."""


def choose_tasks(task_file: Path, names: str) -> dict[str, TaskDef]:
    """Select the tasks named in a comma-separated list from a task file; an empty list selects all.

    Raises:
        UserError: a name is unknown, or the file has an error.
    """
    from mt_dnn.task_types import load_tasks

    chosen = [name.strip() for name in names.split(",") if name.strip()]
    return load_tasks(task_file, chosen, where=f"--tasks: {task_file}")


def write_tasks(
    tasks: dict[str, TaskDef],
    read: Callable[[TaskDef, Skipped], Splits],
    *,
    source: str,
    out: str,
) -> None:
    """Write ``{out}/{task}_{split}.tsv`` for every split that ``read`` returns, and print the counts.

    Args:
        read: (task, skipped) -> rows by split, for the splits whose files exist. It appends rows that it
            leaves out to ``skipped`` and prints which files are missing.
        source: name of the source for messages.

    Raises:
        UserError: no split is found, or a split has no rows.
    """
    written = 0
    for name, task in tasks.items():
        skipped: Skipped = []
        for split, rows in read(task, skipped).items():
            path = Path(out) / f"{name}_{split}.tsv"
            all_rows = list(rows)  # read everything first, so that an error leaves no partial file
            if not all_rows:
                raise UserError(
                    f"{name} {split}: no rows in {source}; {len(skipped)} lines were skipped"
                )
            print(f"{name} {split}: {write_rows(path, all_rows)} rows -> {path}")
            written += 1
        _print_skipped(name, skipped)
    if not written:
        raise UserError(f"nothing found in {source} for {', '.join(tasks)}")


def _print_skipped(name: str, skipped: Skipped) -> None:
    if not skipped:
        return
    print(f"{name} skipped {len(skipped)} lines:")
    for line in islice(skipped, SKIPS_SHOWN):
        print(f"        {line}")
    if len(skipped) > SKIPS_SHOWN:
        print(f"        and {len(skipped) - SKIPS_SHOWN} more")


def check_source(source: str) -> None:
    """Check that ``source`` is a folder, or the word ``hub`` for the Hugging Face hub.

    Raises:
        UserError: it is neither.
    """
    if source != "hub" and not Path(source).is_dir():
        raise UserError(f"--source {source}: no such folder; give a folder or `hub`")


def load_hub(name: str, config: str | None = None, *, revision: str | None = None) -> Any:
    """Load a dataset from the Hugging Face hub: split -> rows by column name.

    Raises:
        UserError: the hub cannot be reached, or does not have the dataset.
    """
    from datasets import load_dataset

    where = f"{name} ({config})" if config else name
    try:
        return load_dataset(name, config, revision=revision)
    except Exception as error:  # the library raises many exception types
        reason = (str(error).strip() or repr(error)).splitlines()[0]
        raise UserError(f"{where} cannot be loaded from the hub: {reason}") from None


def checked_label(label: str, task: TaskDef, where: str) -> str:
    """Return the label unchanged if the task has it.

    Raises:
        UserError: the task does not have it; the message gives file, line and choices.
    """
    try:
        task.encode_label(label)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    return label


def numbered_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield ``file:line`` and text of every line. Only \\n ends a line, because a text may contain \\r.

    Raises:
        UserError: the file is not UTF-8.
    """
    with open_lines(path) as lines:
        for number, line in numbered(lines, path):
            yield f"{path}:{number}", line.rstrip("\r\n")


def read_table(path: Path, skipped: Skipped) -> Iterator[Row]:
    """Read the records of a tab-separated file with a header.

    Malformed lines are left out; their location and the reason are appended to ``skipped``.
    """
    lines = ((where, line.split("\t")) for where, line in numbered_lines(path))
    _, header = next(lines, ("", []))
    for index, (where, cells) in enumerate(lines):
        if len(cells) == len(header):
            yield Row(complete(dict(zip(header, cells, strict=True)), index), where)
        else:
            skipped.append(f"{where}: {len(cells)} columns instead of {len(header)}")
