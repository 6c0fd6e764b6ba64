"""CLUE and Qianyan -> canonical rows, from the folders of their downloads or from the Hugging Face hub."""

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
"""CMNLI's and OCNLI's mark for a pair whose annotators did not agree."""
STEMS = {
    "train": ("train", "train.50k", "train_few_all"),
    "dev": ("dev", "dev_few_all"),
    "test": ("test", "test_public"),
}
"""Names of a split's file, the suffix aside: CLUE's, OCNLI's own, FewCLUE's."""
PAIR_SEED = 2018


@dataclass(frozen=True)
class Layout:
    """Where a task's files are, on disk and on the hub, and which columns are its texts."""

    folders: tuple[str, ...]
    """Names of its folder; ``{name}_public`` (CLUE) and ``few_{name}`` (FewCLUE) go as well."""
    texts: tuple[str, ...]
    """A column that holds a list is joined by blanks."""
    hub: tuple[str, str | None]
    """Dataset, and its configuration."""
    hub_label: str = "label"
    records: Callable[[Records, str, Skipped], Records] | None = None
    """What is done to the records first."""
    rows: Callable[[Iterable[Cells]], Iterator[Cells]] | None = None
    """What is done to the rows last."""


def pair_up(rows: Iterable[Cells]) -> Iterator[Cells]:
    """Two texts in one, with the set of both labels: what makes tnews_multi of tnews.

    The pairs are drawn with a fixed seed, each row is in one of them, and an odd one is left over.
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
    # The keywords first, as in CLUE's baseline.
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
    """uid (``id`` or ``idx``, else the number from 0), label (empty: none), and the texts.

    A record without a gold label is left out unless in a test split, and ``skipped`` gets its place.

    Raises:
        UserError: a column is missing, or a label is not one of the task's.
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
    """The rows of every split whose file is there; says which file that is, or that there is none.

    The first folder that exists is taken, and in it the first file.
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
    """The rows of every split of the hub's dataset.

    Raises:
        UserError: the hub cannot be reached or lacks the dataset.
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
    """The label's word, where the hub stores its number in ``names``; empty for -1."""
    if label is None or label == -1:
        return ""
    return names[label] if names else str(label)


def prepare(source: str, out: str = "data/clue", tasks: str = "") -> None:
    """Write {out}/{task}_{split}.tsv for every task found, and print the counts.

    Args:
        source: Folder with the tasks' own folders inside (README.md lists their names), or the word hub.
        out: Folder for the canonical rows.
        tasks: Names separated by commas, such as afqmc,tnews; all tasks unless given.

    Raises:
        UserError: unknown task, nothing found, a file that is not as the benchmark's.
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
