"""Prepare canonical rows of SNLI and SciTail, with the full training set and with subsets of it."""

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
"""Suffix of a task's name -> share of the training set, in per mille."""
NO_GOLD = ("-", "")
"""Labels of SNLI for a pair without a majority among the annotators."""

InferenceRow = tuple[str, str, str, str]
"""uid, label, premise, hypothesis."""


class Pair(NamedTuple):
    """A sentence pair with the benchmark's own label."""

    where: str
    """Location for messages, such as ``file:line``."""
    uid: str
    label: str
    premise: str
    hypothesis: str


def read_jsonl(path: Path) -> Iterator[Pair]:
    """Read SNLI's JSON lines.

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
    """Read TSV with premise, hypothesis and label in the order ``columns``; the uid is the row number.

    Raises:
        UserError: a line has another number of columns.
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
    """Files of one download."""

    files: dict[str, str]
    """Split -> path relative to the source."""
    read: dict[str, Callable[[Path], Iterator[Pair]]]
    """Split -> function that reads the file."""
    note: str = ""
    """Remark that is printed when the layout is used."""


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
"""Possible layouts of each benchmark. The first with an existing file is used, so none are mixed."""
HUB: dict[str, tuple[str, str | None]] = {
    "snli": ("stanfordnlp/snli", None),
    "scitail": ("allenai/scitail", "tsv_format"),
}


def read_folder(source: Path, base: str) -> dict[str, Iterator[Pair]]:
    """Read the pairs of every split whose file exists; print which files are missing."""
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
    """Read the pairs of every split of the dataset on the hub; the uid is the row number.

    Raises:
        UserError: the hub cannot be reached, or does not have the dataset.
    """
    name, config = HUB[task.name]
    dataset = load_hub(name, config)

    def pairs(split: str) -> Iterator[Pair]:
        for number, row in enumerate(dataset["validation" if split == "dev" else split]):
            label = row["label"]
            if isinstance(label, int):  # SNLI: index in the order of the task file, -1: no label
                label = task.labels[label] if label >= 0 else ""
            where = f"{name} {split}, row {number}"
            yield Pair(where, str(number), label, row["premise"], row["hypothesis"])

    return {split: pairs(split) for split in task.split_names}


def labelled(pairs: Iterator[Pair], task: TaskDef, skipped: Skipped) -> list[InferenceRow]:
    """Rows of the pairs that have a gold label.

    Raises:
        UserError: the task does not have a label.
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

    All subsets of a benchmark have the same dev and test rows.

    Args:
        source: Folder that contains snli_1.0 and SciTailV1.1, or the word `hub` for the Hugging Face hub.
        out: Folder for the canonical rows.
        tasks: Names separated by commas, such as snli,snli_1pct. Default: all tasks.
        seed: Seed of the subsets. Use a separate output folder for each seed.

    Raises:
        UserError: a task is unknown, no data is found, or a file does not have the expected format.
    """
    all_tasks = choose_tasks(TASK_FILE, "")
    check_source(source)
    found: dict[str, dict[str, list[InferenceRow]]] = {}

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
