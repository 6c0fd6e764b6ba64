"""SNLI and SciTail -> canonical rows, whole and in parts of the training set, from folders or from the hub."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from jsonargparse import ArgumentParser

from data_utils.cli import run_cli
from data_utils.errors import UserError
from data_utils.task_def import TaskDef
from experiments.domain_adaptation.subsets import nested_subset
from experiments.suite import (
    Skipped,
    Splits,
    check_source,
    checked_label,
    choose_tasks,
    load_hub,
    numbered_lines,
    write_tasks,
)

TASK_FILE = Path(__file__).parent / "tasks.yml"
PER_MILLE = {"": 1000, "10pct": 100, "1pct": 10, "0p1pct": 1}
"""What stands behind the benchmark's name in a task's name, and what part of the training set it is."""
NO_GOLD = ("-", "")
"""SNLI's mark for a pair whose annotators did not agree."""

Row = tuple[str, str, str, str]
"""uid, label, premise, hypothesis."""


class Pair(NamedTuple):
    """A pair as the benchmark has it."""

    where: str
    """For messages."""
    uid: str
    label: str
    premise: str
    hypothesis: str


def read_jsonl(path: Path) -> Iterator[Pair]:
    """SNLI's own lines.

    Raises:
        UserError: a line is not JSON, or lacks a key.
    """
    for where, line in numbered_lines(path):
        try:
            record = json.loads(line)
            label, uid = record["gold_label"], record["pairID"]
            yield Pair(where, uid, label, record["sentence1"], record["sentence2"])
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{where}: not a line of SNLI: {error!r}") from None


def read_tsv(path: Path, columns: Sequence[str], *, header: bool = False) -> Iterator[Pair]:
    """Columns premise, hypothesis and label in the given order; uid is the row's number.

    Raises:
        UserError: a line of another number of columns.
    """
    for number, (where, line) in enumerate(numbered_lines(path), start=-header):
        if number < 0:
            continue
        cells = line.split("\t")
        if len(cells) != len(columns):
            raise UserError(f"{where}: {len(cells)} columns; expected {', '.join(columns)}")
        yield Pair(where, str(number), **dict(zip(columns, cells, strict=True)))


@dataclass(frozen=True)
class Layout:
    """Where the files of one download are."""

    files: dict[str, str]
    """Split -> path below the source."""
    read: dict[str, Callable[[Path], Iterator[Pair]]]
    """Split -> what reads its file."""
    note: str = ""


SPLITS = ("train", "dev", "test")
SCITAIL_COLUMNS = ("premise", "hypothesis", "label")
LAYOUTS = {
    "snli": [
        Layout(
            {split: f"snli_1.0/snli_1.0_{split}.jsonl" for split in SPLITS},
            dict.fromkeys(SPLITS, read_jsonl),
        ),
        Layout(
            {"train": "snli_dev.tsv", "dev": "snli_test_1k.tsv"},
            {
                "train": partial(read_tsv, columns=("premise", "hypothesis", "label"), header=True),
                "dev": partial(read_tsv, columns=("label", "premise", "hypothesis")),
            },
            note="train is SNLI's dev set with the label of one annotator, dev 1000 pairs of its test set",
        ),
    ],
    "scitail": [
        Layout(
            {split: f"SciTailV1.1/tsv_format/scitail_1.0_{split}.tsv" for split in SPLITS},
            dict.fromkeys(SPLITS, partial(read_tsv, columns=SCITAIL_COLUMNS)),
        ),
    ],
}
"""Of these the first is taken that has a file: no task mixes two."""
HUB: dict[str, tuple[str, str | None]] = {
    "snli": ("stanfordnlp/snli", None),
    "scitail": ("allenai/scitail", "tsv_format"),
}


def read_folder(source: Path, base: str) -> dict[str, Iterator[Pair]]:
    """The pairs of every split whose file is there; says which are not."""
    for layout in LAYOUTS[base]:
        paths = {split: source / name for split, name in layout.files.items()}
        there = [split for split, path in paths.items() if path.is_file()]
        if there:
            break
    else:
        names = " or ".join(layout.files["train"] for layout in LAYOUTS[base])
        print(f"{base} skipped: no file such as {names} in {source}")
        return {}
    for split in [split for split in paths if split not in there]:
        print(f"{base} {split}: no file {paths[split]}")
    if layout.note:
        print(f"{base}: {layout.note}")
    return {split: layout.read[split](paths[split]) for split in there}


def read_hub(task: TaskDef) -> dict[str, Iterator[Pair]]:
    """The pairs of every split of the hub's dataset; uid is the row's number.

    Raises:
        UserError: the hub cannot be reached or lacks the dataset.
    """
    name, config = HUB[task.name]
    dataset = load_hub(name, config)

    def pairs(split: str) -> Iterator[Pair]:
        for number, row in enumerate(dataset["validation" if split == "dev" else split]):
            label = row["label"]
            if isinstance(label, int):  # SNLI's labels have the order of the task file; -1 is none
                label = task.labels[label] if label >= 0 else ""
            where = f"{name} {split}, row {number}"
            yield Pair(where, str(number), label, row["premise"], row["hypothesis"])

    return {split: pairs(split) for split in task.split_names}


def labelled(pairs: Iterator[Pair], task: TaskDef, skipped: Skipped) -> list[Row]:
    """The pairs that have a gold label.

    Raises:
        UserError: a label that is not one of the task's.
    """
    rows = []
    for pair in pairs:
        if pair.label in NO_GOLD:
            skipped.append(f"{pair.where}: no gold label")
            continue
        label = checked_label(pair.label, task, pair.where)
        rows.append((pair.uid, label, pair.premise, pair.hypothesis))
    return rows


def prepare(
    source: str, out: str = "data/domain_adaptation", tasks: str = "", seed: int = 2018
) -> None:
    """Write {out}/{task}_{split}.tsv for every task found, and print the counts.

    All parts of a benchmark have the same dev and test rows.

    Args:
        source: Folder with snli_1.0 and SciTailV1.1 inside, or the word hub.
        out: Folder for the canonical rows.
        tasks: Names separated by commas, such as snli,snli_1pct; all tasks unless given.
        seed: Of the choice of the parts. Another one wants another folder.

    Raises:
        UserError: unknown task, nothing found, a file that is not as the benchmark's.
    """
    all_tasks = choose_tasks(TASK_FILE, "")
    check_source(source)
    found: dict[str, dict[str, list[Row]]] = {}

    def read(task: TaskDef, skipped: Skipped) -> Splits:
        base, _, part = task.name.partition("_")
        if base not in found:
            whole = all_tasks[base]
            pairs = read_hub(whole) if source == "hub" else read_folder(Path(source), base)
            found[base] = {split: labelled(p, whole, skipped) for split, p in pairs.items()}
        splits: Splits = dict(found[base])
        if "train" in found[base]:
            train = nested_subset(found[base]["train"], PER_MILLE[part], seed=seed)
            splits["train"] = train
            counts = Counter(label for _, label, *_ in train)
            each = ", ".join(f"{counts[label]} {label}" for label in task.labels)
            print(f"{task.name} train: {len(train)} of {len(found[base]['train'])} pairs: {each}")
        return splits

    write_tasks(choose_tasks(TASK_FILE, tasks), read, source=source, out=out)


def main() -> None:
    parser = ArgumentParser(
        prog="python -m experiments.domain_adaptation.prepare", description=__doc__
    )
    parser.add_function_arguments(prepare)
    prepare(**parser.parse_args().as_dict())


if __name__ == "__main__":
    run_cli(main)
