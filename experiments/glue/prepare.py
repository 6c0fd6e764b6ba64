"""Prepare canonical rows of GLUE, from the GLUE download or the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from jsonargparse import ArgumentParser

from data_utils.cli import run_cli
from data_utils.errors import UserError
from data_utils.task_def import TaskDef, split_role
from experiments.glue.ranking import ranking_rows
from experiments.glue.wnli import mark_rows
from experiments.suite import (
    Cells,
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
HUB = "nyu-mll/glue"
NO_GOLD = "-"
"""Label of MNLI for a pair without a majority among the annotators."""

GlueRow = tuple[str, ...]
"""uid, label (empty: none), text, and a second text in a pair task."""


@dataclass(frozen=True)
class Layout:
    """Files and columns of a task. Columns are found by name, because their order differs by split."""

    folder: str
    texts: tuple[str, ...]
    hub_texts: tuple[str, ...]
    label: str = "label"
    index: str = "index"
    """Column of the row number that GLUE submissions refer to. Not every file has it."""
    files: dict[str, str] = field(default_factory=dict)
    """Split -> file, if the name does not follow from the split."""
    headerless: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Split -> columns, for files without a header."""
    hub: str = ""
    """Configuration of the hub's dataset, if it differs from the task's name."""
    hub_labels: tuple[str, ...] = ()
    """Label words in the hub's order, if it differs from the task's."""
    convert: Callable[[Iterable[Cells], str], Iterator[Cells]] | None = None
    """Converts the rows of a split, whose name it prints (wnli.py, ranking.py)."""

    def file(self, split: str) -> str:
        """File of a split, such as ``dev_matched.tsv`` for ``matched_dev``."""
        name = self.files.get(split) or "_".join(reversed(split.split("_"))) + ".tsv"
        return f"{self.folder}/{name}"


SENTENCE = ("sentence",)
PAIR = ("sentence1", "sentence2")
QUESTIONS = ("question1", "question2")
COLA_COLUMNS = ("source", "label", "original_label", "sentence")

LAYOUTS = {
    "cola": Layout(
        "CoLA", SENTENCE, SENTENCE, headerless={"train": COLA_COLUMNS, "dev": COLA_COLUMNS}
    ),
    "sst2": Layout("SST-2", SENTENCE, SENTENCE),
    "mrpc": Layout("MRPC", ("#1 String", "#2 String"), PAIR, label="Quality"),
    "stsb": Layout("STS-B", PAIR, PAIR, label="score"),
    "qqp": Layout("QQP", QUESTIONS, QUESTIONS, label="is_duplicate", index="id"),
    "mnli": Layout("MNLI", PAIR, ("premise", "hypothesis"), label="gold_label"),
    "qnli": Layout("QNLI", ("question", "sentence"), ("question", "sentence")),
    "qnli_ranking": Layout(
        "QNLI",
        ("question", "sentence"),
        ("question", "sentence"),
        hub="qnli",
        hub_labels=("entailment", "not_entailment"),
        convert=ranking_rows,
    ),
    "rte": Layout("RTE", PAIR, PAIR),
    "wnli": Layout("WNLI", PAIR, PAIR),
    "wnli_marked": Layout("WNLI", PAIR, PAIR, hub="wnli", convert=mark_rows),
    "ax": Layout("diagnostic", PAIR, ("premise", "hypothesis"), files={"test": "diagnostic.tsv"}),
}

STAND_INS = {
    "mnli": Layout(
        ".",
        ("premise", "hypothesis"),
        ("premise", "hypothesis"),
        files={
            "train": "mnli_dev_matched_gold.tsv",
            "mismatched_dev": "mnli_dev_mismatched_gold_1k.tsv",
        },
    ),
}
"""Layouts that split a task's dev pairs into train and dev, if the full data is missing. Scores on them
are not scores of the task."""


def read_file(
    path: Path, task: TaskDef, split: str, skipped: Skipped, layout: Layout | None = None
) -> Iterator[GlueRow]:
    """Read the rows of a file of the download. The uid is the index column, else the row number from 0.

    Malformed lines are left out; their location and the reason are appended to ``skipped``.

    Raises:
        UserError: a column is missing, a label is unknown, or the file is not UTF-8.
    """
    layout, is_test = layout or LAYOUTS[task.name], split_role(split) == "test"
    lines = ((where, line.split("\t")) for where, line in numbered_lines(path))
    header = layout.headerless.get(split) or tuple(next(lines, ("", []))[1])
    labelled = _check_columns(path, header, layout, is_test=is_test)
    for row_number, (where, cells) in enumerate(lines):
        if len(cells) != len(header):
            skipped.append(f"{where}: {len(cells)} columns instead of {len(header)}")
            continue
        row = dict(zip(header, cells, strict=True))
        label = row[layout.label].strip() if labelled else ""
        label = "" if label == NO_GOLD else label
        if label:
            checked_label(label, task, where)
        elif not is_test:
            skipped.append(f"{where}: no gold label")
            continue
        yield row.get(layout.index, str(row_number)), label, *(row[t] for t in layout.texts)


def _check_columns(path: Path, header: GlueRow, layout: Layout, *, is_test: bool) -> bool:
    """Check the columns; return whether the file has labels, which only test files may lack."""
    labelled = layout.label in header
    wanted = layout.texts if is_test else (*layout.texts, layout.label)
    missing = [column for column in wanted if column not in header]
    if missing:
        raise UserError(
            f"{path}: no column {', '.join(map(repr, missing))}; "
            f"found {', '.join(map(repr, header)) or 'an empty file'}"
        )
    return labelled


def read_hub(task: TaskDef) -> Splits:
    """Read the rows of every split of the dataset on the hub; the uid is its column idx.

    Raises:
        UserError: the hub cannot be reached, or does not have the dataset.
    """
    layout = LAYOUTS[task.name]
    dataset, hub_texts = load_hub(HUB, layout.hub or task.name), layout.hub_texts

    def rows(split: str) -> Iterator[GlueRow]:
        role, *kind = reversed(split.split("_"))
        for row in dataset["_".join(["validation" if role == "dev" else role, *kind])]:
            yield (
                str(row["idx"]),
                hub_label(row["label"], task, layout.hub_labels),
                *(row[t] for t in hub_texts),
            )

    return {split: rows(split) for split in task.split_names}


def hub_label(label: float, task: TaskDef, words: tuple[str, ...] = ()) -> str:
    """Format a hub label as in the download: a word, or a number with three decimals; empty for -1.

    ``words`` are the label words in the hub's order; by default those of the task.
    """
    if label == -1:
        return ""
    return f"{label:.3f}" if task.label_is_number else (words or task.labels)[int(label)]


def read_download(source: Path, task: TaskDef, skipped: Skipped) -> Splits:
    """Read the rows of every split whose file exists; print which files are missing."""
    layout, stand_in = LAYOUTS[task.name], STAND_INS.get(task.name)
    if not (source / layout.folder).is_dir():
        if stand_in is None or not (source / stand_in.file("train")).is_file():
            print(f"{task.name} skipped: no folder {source / layout.folder}")
            return {}
        layout = stand_in
        print(
            f"{task.name}: train and dev are made of the task's dev pairs; scores on them are not GLUE scores"
        )
    splits: Splits = {}
    for split in task.split_names:
        path = source / layout.file(split)
        if path.is_file():
            splits[split] = read_file(path, task, split, skipped, layout)
        else:
            print(f"{task.name} {split}: no file {path}")
    return splits


def prepare(source: str, out: str = "data/glue", tasks: str = "") -> None:
    """Write {out}/{task}_{split}.tsv for every task found, and print the counts.

    Args:
        source: Folder of the GLUE download (it contains CoLA, RTE, ...), or the word `hub` for the Hugging Face hub.
        out: Folder for the canonical rows.
        tasks: Names separated by commas, such as rte,mrpc. Default: all tasks.

    Raises:
        UserError: a task is unknown, no data is found, or a file does not have the expected format.
    """
    task_defs = choose_tasks(TASK_FILE, tasks)
    check_source(source)

    def read(task: TaskDef, skipped: Skipped) -> Splits:
        splits = read_hub(task) if source == "hub" else read_download(Path(source), task, skipped)
        convert = LAYOUTS[task.name].convert
        if convert is None:
            return splits
        return {split: convert(rows, f"{task.name} {split}") for split, rows in splits.items()}

    write_tasks(task_defs, read, source=source, out=out)


def main() -> None:
    parser = ArgumentParser(prog="python -m experiments.glue.prepare", description=__doc__)
    parser.add_function_arguments(prepare)
    prepare(**parser.parse_args().as_dict())


if __name__ == "__main__":
    run_cli(main)
