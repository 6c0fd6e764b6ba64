"""Prepare rows of texts with a pronoun and its candidates, from GLUE's WNLI and from HNN's files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from jsonargparse import ArgumentParser

from data_utils.cli import run_cli
from data_utils.errors import UserError
from data_utils.formats import Row
from data_utils.task_def import TaskDef
from experiments.glue.prepare import LAYOUTS, read_file
from experiments.hnn.texts import group_pairs, schema_rows, wscr_rows
from experiments.suite import Cells, Skipped, Splits, choose_tasks, read_table, write_tasks

TASK_FILE = Path(__file__).parent / "tasks.yml"
Convert = Callable[[Iterable[Row], Skipped], Iterator[Cells]]

FILES: dict[str, tuple[Convert, tuple[str, ...], dict[str, str]]] = {
    "wscr": (
        wscr_rows,
        ("sentence", "pronoun_idx", "pronoun", "coref", "candidates"),
        {"train": "DPRD/train_annotated.tsv", "dev": "DPRD/test_annotated.tsv"},
    ),
    "wsc273": (
        schema_rows,
        ("left", "pron", "right", "candidates", "selected"),
        {"test": "WSC273/wsc273.tsv"},
    ),
    "pdp60": (
        schema_rows,
        ("left", "pron", "right", "candidates", "selected"),
        {"test": "WSC273/pdp60.tsv"},
    ),
}
"""Task -> conversion, columns, and the file of each split in the folder hnn/data of HNN's code."""


def read_wnli(source: Path, task: TaskDef, skipped: Skipped) -> Splits:
    """Read the rows of WNLI from the files of the GLUE download."""
    pairs: dict[str, Iterable[Cells]] = {}
    for split in task.split_names:
        path = source / LAYOUTS["wnli"].file(split)
        if path.is_file():
            pairs[split] = read_file(path, task, split, skipped, LAYOUTS["wnli"])
        else:
            print(f"wnli {split}: no file {path}")
    return group_pairs(pairs) if pairs else {}


def read_texts(source: Path, task: TaskDef, skipped: Skipped) -> Splits:
    """Read the rows of a task of :data:`FILES`.

    Raises:
        UserError: a file lacks a column.
    """
    convert, columns, files = FILES[task.name]
    splits: Splits = {}
    for split in task.split_names:
        path = source / files[split]
        if not path.is_file():
            print(f"{task.name} {split}: no file {path}")
            continue
        records = list(read_table(path, skipped))
        missing = [name for name in columns if records and name not in records[0].values]
        if missing:
            raise UserError(
                f"{path}: no column {', '.join(missing)}; found the columns "
                f"{', '.join(records[0].values)}"
            )
        splits[split] = convert(records, skipped)
    return splits


def prepare(source: str, out: str = "data/hnn", tasks: str = "") -> None:
    """Write {out}/{task}_{split}.tsv for every task found, and print the counts.

    Args:
        source: Folder with WNLI (of the GLUE download), or with DPRD and WSC273 (hnn/data of HNN's code).
        out: Folder for the rows.
        tasks: Names separated by commas, such as wnli,wsc273. Default: all tasks.

    Raises:
        UserError: a task is unknown, no data is found, or a file does not have the expected format.
    """
    chosen = choose_tasks(TASK_FILE, tasks)
    if not Path(source).is_dir():
        raise UserError(f"--source {source}: no such folder")

    def read(task: TaskDef, skipped: Skipped) -> Splits:
        if task.name == "wnli":
            return read_wnli(Path(source), task, skipped)
        return read_texts(Path(source), task, skipped)

    own = {name: task for name, task in chosen.items() if name in FILES or name == "wnli"}
    if not own:
        raise UserError(f"--tasks {tasks}: these read the rows of wnli; prepare wnli")
    write_tasks(own, read, source=source, out=out)


def main() -> None:
    parser = ArgumentParser(prog="python -m experiments.hnn.prepare", description=__doc__)
    parser.add_function_arguments(prepare)
    prepare(**parser.parse_args().as_dict())


if __name__ == "__main__":
    run_cli(main)
