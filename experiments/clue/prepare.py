"""Prepare canonical rows of CLUE and Qianyan, from their downloads or the Hugging Face hub."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from data_utils.cli import run_cli
from data_utils.errors import UserError
from data_utils.task_def import TaskDef, split_role
from experiments.clue.records import READERS, Record, Records, read_records
from experiments.clue.wsc import mark_records
from experiments.suite import (
    Cells,
    Skipped,
    Splits,
    check_source,
    checked_label,
    choose_tasks,
    load_hub,
    write_tasks,
)

TASK_FILE = Path(__file__).parent / "tasks.yml"
NO_GOLD = "-"
"""Label of CMNLI and OCNLI for a pair without a majority among the annotators."""
STEMS = {
    "train": ("train", "train.50k", "train_few_all"),
    "dev": ("dev", "dev_few_all"),
    "test": ("test", "test_public"),
}
"""Split -> possible file names without suffix, of CLUE, OCNLI and FewCLUE."""
PAIR_SEED = 2018


@dataclass(frozen=True)
class Layout:
    """Folders, hub dataset and text columns of a task."""

    folders: tuple[str, ...]
    """Possible folder names; ``{name}_public`` (CLUE) and ``few_{name}`` (FewCLUE) are tried too."""
    texts: tuple[str, ...]
    """Text columns. A list in a column is joined by spaces."""
    hub: tuple[str, str | None]
    """Dataset on the hub, and its configuration."""
    hub_label: str = "label"
    records: Callable[[Records, str, Skipped], Records] | None = None
    """Transformation of the records before they become rows."""
    rows: Callable[[Iterable[Cells]], Iterator[Cells]] | None = None
    """Transformation of the finished rows."""


def pair_up(rows: Iterable[Cells]) -> Iterator[Cells]:
    """Join two rows into one text with the set of both labels; makes tnews_multi from tnews.

    Pairs are drawn with a fixed seed. Each row belongs to one pair; the last row of an odd number is
    dropped.
    """
    order = list(rows)
    random.Random(PAIR_SEED).shuffle(order)
    for (uid1, label1, text1), (uid2, label2, text2) in zip(order[::2], order[1::2], strict=False):
        yield f"{uid1}+{uid2}", ",".join(sorted({label1, label2})), f"{text1} {text2}"


CLUE = "clue/clue"
SENTENCE = ("sentence",)
PAIR = ("sentence1", "sentence2")
TNEWS = Layout(("tnews",), SENTENCE, (CLUE, "tnews"))
WSC = ("cluewsc2020", "wsc", "cluewsc")

LAYOUTS = {
    "afqmc": Layout(("afqmc",), PAIR, (CLUE, "afqmc")),
    "cmnli": Layout(("cmnli",), PAIR, (CLUE, "cmnli")),
    "ocnli": Layout(("ocnli",), PAIR, (CLUE, "ocnli")),
    # Keywords come first, as in CLUE's baseline.
    "csl": Layout(("csl",), ("keyword", "abst"), (CLUE, "csl")),
    "iflytek": Layout(("iflytek",), SENTENCE, (CLUE, "iflytek")),
    "tnews": TNEWS,
    "tnews_multi": replace(TNEWS, rows=pair_up),
    "wsc": Layout(WSC, ("text",), (CLUE, "cluewsc2020"), records=mark_records),
    "lcqmc": Layout(("lcqmc",), PAIR, ("C-MTEB/LCQMC", None), hub_label="score"),
    "bq": Layout(("bq_corpus", "bq"), PAIR, ("C-MTEB/BQ", None), hub_label="score"),
    "paws-x": Layout(
        ("paws-x-zh", "paws-x", "pawsx"), PAIR, ("C-MTEB/PAWSX", None), hub_label="score"
    ),
}


def to_rows(records: Records, task: TaskDef, split: str, skipped: Skipped) -> Iterator[Cells]:
    """Convert records to rows of uid, label and texts.

    The uid is ``id`` or ``idx``, else the record's number from 0. Records without a gold label are left
    out, except in a test split, where the label is empty; their location is appended to ``skipped``.

    Raises:
        UserError: a column is missing, or the task does not have the label.
    """
    layout, is_test = LAYOUTS[task.name], split_role(split) == "test"
    if layout.records:
        records = layout.records(records, f"{task.name} {split}", skipped)
    for number, (where, record) in enumerate(records):
        lacking = is_test and "label" not in record
        label = "" if lacking else _text(record, "label", where).strip()
        label = "" if label == NO_GOLD else label
        if label:
            checked_label(label, task, where)
        elif not is_test:
            skipped.append(f"{where}: no gold label")
            continue
        texts = (_text(record, column, where) for column in layout.texts)
        yield str(record.get("id", record.get("idx", number))), label, *texts


def _text(record: Record, column: str, where: str) -> str:
    if column not in record:
        raise UserError(f"{where}: no column {column!r}; found {', '.join(map(repr, record))}")
    value = "" if record[column] is None else record[column]
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def read_download(source: Path, task: TaskDef, skipped: Skipped) -> Splits:
    """Read the rows of every split whose file exists; print the file, or that it is missing.

    The first existing folder is used, and the first existing file in it.
    """
    names = LAYOUTS[task.name].folders
    names = tuple(n for name in names for n in (f"{name}_public", name, f"few_{name}"))
    folder = next((source / name for name in names if (source / name).is_dir()), None)
    if folder is None:
        print(f"{task.name} skipped: no folder {', '.join(names)} in {source}")
        return {}
    splits: Splits = {}
    for split in task.split_names:
        files = (folder / f"{stem}{suffix}" for stem in STEMS[split] for suffix in READERS)
        path = next((file for file in files if file.is_file()), None)
        print(f"{task.name} {split}: {f'from {path}' if path else f'no file in {folder}'}")
        if path:
            splits[split] = to_rows(read_records(path, skipped), task, split, skipped)
    return splits


def read_hub(task: TaskDef, skipped: Skipped) -> Splits:
    """Read the rows of every split of the dataset on the Hugging Face hub.

    Raises:
        UserError: the hub cannot be reached, or does not have the dataset.
    """
    layout = LAYOUTS[task.name]
    dataset = load_hub(*layout.hub)

    def records(split: str) -> Records:
        rows = dataset["validation" if split == "dev" else split]
        names = getattr(rows.features[layout.hub_label], "names", None)
        for number, row in enumerate(rows):
            label = _hub_label(row[layout.hub_label], names)
            yield f"{layout.hub[0]} {split} row {number}", row | {"label": label}

    return {s: to_rows(records(s), task, s, skipped) for s in task.split_names}


def _hub_label(label: Any, names: list[str] | None) -> str:
    """Label word of a hub label, which may be an index into ``names``; empty for -1."""
    if label is None or label == -1:
        return ""
    return names[label] if names else str(label)


def prepare(source: str, out: str = "data/clue", tasks: str = "") -> None:
    """Write {out}/{task}_{split}.tsv for every task found, and print the counts.

    Args:
        source: Folder that contains the tasks' folders (README.md lists their names), or the word `hub` for the Hugging Face hub.
        out: Folder for the canonical rows.
        tasks: Names separated by commas, such as afqmc,tnews. Default: all tasks.

    Raises:
        UserError: a task is unknown, no data is found, or a file does not have the expected format.
    """
    task_defs = choose_tasks(TASK_FILE, tasks)
    check_source(source)

    def read(task: TaskDef, skipped: Skipped) -> Splits:
        splits = (
            read_hub(task, skipped)
            if source == "hub"
            else read_download(Path(source), task, skipped)
        )
        last = LAYOUTS[task.name].rows
        return {split: last(rows) for split, rows in splits.items()} if last else splits

    write_tasks(task_defs, read, source=source, out=out)


def main() -> None:
    parser = ArgumentParser(prog="python -m experiments.clue.prepare", description=__doc__)
    parser.add_function_arguments(prepare)
    prepare(**parser.parse_args().as_dict())


if __name__ == "__main__":
    run_cli(main)
