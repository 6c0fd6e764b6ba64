"""Prepare canonical rows of SuperGLUE, from its download, from TSV tables or the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from jsonargparse import ArgumentParser

from data_utils.cli import run_cli
from data_utils.formats import DroppedRow, Row
from data_utils.registries import FORMATS
from data_utils.sources import HubSource
from data_utils.task_def import TaskDef, split_role
from experiments.suite import (
    Cells,
    Skipped,
    Splits,
    check_source,
    choose_tasks,
    read_table,
    write_tasks,
)
from experiments.superglue.records import UNFOLD, read_download
from experiments.superglue.rows import SHAPES

TASK_FILE = Path(__file__).parent / "tasks.yml"
HUB = "aps/super_glue"
FOLDERS = {
    "boolq": "BoolQ",
    "cb": "CB",
    "copa": "COPA",
    "multirc": "MultiRC",
    "record": "ReCoRD",
    "rte": "RTE",
    "wic": "WiC",
    "wsc": "WSC",
    "axb": "AX-b",
    "axg": "AX-g",
}
"""Task -> folder in the download."""
FILES = {"train": "train", "dev": "val", "test": "test"}
"""Split -> file name in the download. A diagnostic set has one file, with the name of its folder."""
DIAGNOSTIC = ("axb", "axg")
HUB_SPLITS = {"train": "train", "dev": "validation", "test": "test"}


def find_records(source: str, task: TaskDef, split: str, skipped: Skipped) -> Iterator[Row] | None:
    """Find a split's records on the hub, in the download or in a table.

    Prints a message and returns None if there are none.
    """
    if source == "hub":
        hub = HubSource(HUB, task.name, None, HUB_SPLITS[split], {}, label_words=False)
        return hub.rows()
    folder = FOLDERS[task.name]
    file = folder if task.name in DIAGNOSTIC else FILES[split]
    download = Path(source) / folder / f"{file}.jsonl"
    table = Path(source) / task.name / f"{split}.tsv"
    if download.is_file():
        return read_download(download, task.name)
    if table.is_file() and task.name not in UNFOLD:  # a table contains only flat records
        return read_table(table, skipped)
    print(f"{task.name} {split}: no file {download}")
    return None


def rows(records: Iterable[Row], task: TaskDef, split: str, skipped: Skipped) -> Iterator[Cells]:
    """Convert records to canonical rows. Only rows of a test split may lack a label.

    Records that give no row are left out; their location and the reason are appended to ``skipped``.
    """
    label = FORMATS.get(task.data_format).columns.index("label")
    for record in records:
        try:
            cells = SHAPES[task.name](record, task)
            if not cells[label] and split_role(split) != "test":
                raise DroppedRow("no gold label")
        except DroppedRow as reason:
            skipped.append(f"{record.where}: {reason}")
        else:
            yield cells


def prepare(source: str, out: str = "data/superglue", tasks: str = "") -> None:
    """Write {out}/{task}_{split}.tsv for every task found, and print the counts.

    Args:
        source: Folder of the SuperGLUE download (it contains BoolQ, CB, ...), or of tables boolq/train.tsv, or the word `hub` for the Hugging Face hub.
        out: Folder for the canonical rows.
        tasks: Names separated by commas, such as boolq,copa. Default: all tasks.

    Raises:
        UserError: a task is unknown, no data is found, or a file does not have the expected format.
    """
    task_defs = choose_tasks(TASK_FILE, tasks)
    check_source(source)

    def read(task: TaskDef, skipped: Skipped) -> Splits:
        found = {split: find_records(source, task, split, skipped) for split in task.split_names}
        return {
            split: rows(records, task, split, skipped)
            for split, records in found.items()
            if records is not None
        }

    write_tasks(task_defs, read, source=source, out=out)


def main() -> None:
    parser = ArgumentParser(prog="python -m experiments.superglue.prepare", description=__doc__)
    parser.add_function_arguments(prepare)
    prepare(**parser.parse_args().as_dict())


if __name__ == "__main__":
    run_cli(main)
