"""Prepare canonical rows of XNLI, from its two downloads or the Hugging Face hub."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from jsonargparse import ArgumentParser

from data_utils.cli import run_cli
from data_utils.formats import Row
from data_utils.sources import HubSource
from data_utils.task_def import TaskDef, split_role
from experiments.suite import (
    Skipped,
    Splits,
    check_source,
    checked_label,
    choose_tasks,
    read_table,
    write_tasks,
)

TASK_FILE = Path(__file__).parent / "tasks.yml"
HUB = "facebook/xnli"
HUB_SPLITS = {"train": "train", "dev": "validation", "test": "test"}
TRAIN_FILE = "XNLI-MT-1.0/multinli/multinli.train.en.tsv"
TRAIN_LANGUAGE = "en"

Columns = dict[str, str]
"""Our column name -> column name in the source."""
OURS: Columns = {"uid": "uid", "label": "label", "premise": "premise", "hypothesis": "hypothesis"}
TRAIN_COLUMNS = OURS | {"hypothesis": "hypo"}
EVAL_COLUMNS: Columns = {
    "uid": "pairID",
    "label": "gold_label",
    "premise": "sentence1",
    "hypothesis": "sentence2",
}
WORDS = {"contradictory": "contradiction", "-": ""}
"""Label in the training file -> label word; ``-`` is MNLI's mark for no gold label."""


def language_of(split: str) -> str:
    """Language of a split: ``ar`` for ``ar_dev``, English for the training split."""
    return split.rpartition("_")[0] or TRAIN_LANGUAGE


def read_folder(source: Path, task: TaskDef, skipped: Skipped) -> Splits:
    """Read the rows of every split whose file contains its language; print which are missing."""
    splits: Splits = {}
    train = source / TRAIN_FILE
    if train.is_file():
        splits["train"] = rows(read_table(train, skipped), TRAIN_COLUMNS, task, "train", skipped)
    else:
        print(f"{task.name} train: no file {train}")
    for role in ("dev", "test"):
        path = source / f"XNLI-1.0/xnli.{role}.tsv"
        if not path.is_file():
            print(f"{task.name} {role}: no file {path}")
            continue
        by_language: dict[str, list[Row]] = defaultdict(list)
        for row in read_table(path, skipped):
            by_language[row.text("language")].append(row)
        for split in task.splits(role):
            if records := by_language.get(language_of(split)):
                splits[split] = rows(records, EVAL_COLUMNS, task, split, skipped)
            else:
                print(f"{task.name} {split}: no rows of {language_of(split)} in {path}")
    return splits


def read_hub(task: TaskDef, skipped: Skipped) -> Splits:
    """Read the rows of every split; the hub has a configuration for each language."""
    return {
        split: rows(
            HubSource(
                HUB, language_of(split), None, HUB_SPLITS[split_role(split)], {}, label_words=True
            ).rows(),
            OURS,
            task,
            split,
            skipped,
        )
        for split in task.split_names
    }


def rows(
    records: Iterable[Row], columns: Columns, task: TaskDef, split: str, skipped: Skipped
) -> Iterator[tuple[str, ...]]:
    """Convert records to canonical rows. Only rows of a test split may lack a label.

    Other records without a label are left out; their location is appended to ``skipped``.

    Raises:
        UserError: a column is missing, or a label is unknown.
    """
    for record in records:
        label = record.text(columns["label"]).strip()
        label = WORDS.get(label, label)
        if label:
            checked_label(label, task, record.where)
        elif split_role(split) != "test":
            skipped.append(f"{record.where}: no gold label")
            continue
        texts = record.text(columns["premise"]), record.text(columns["hypothesis"])
        yield record.text(columns["uid"]), label, *texts


def prepare(source: str, out: str = "data/xnli", tasks: str = "") -> None:
    """Write {out}/xnli_{split}.tsv for the training rows and every language found, and print the counts.

    Args:
        source: Folder that contains XNLI-1.0 and XNLI-MT-1.0, or the word `hub` for the Hugging Face hub.
        out: Folder for the canonical rows.
        tasks: Names separated by commas; the only task is xnli.

    Raises:
        UserError: a task is unknown, no data is found, or a file does not have the expected format.
    """
    task_defs = choose_tasks(TASK_FILE, tasks)
    check_source(source)

    def read(task: TaskDef, skipped: Skipped) -> Splits:
        if source == "hub":
            return read_hub(task, skipped)
        return read_folder(Path(source), task, skipped)

    write_tasks(task_defs, read, source=source, out=out)


def main() -> None:
    parser = ArgumentParser(prog="python -m experiments.xnli.prepare", description=__doc__)
    parser.add_function_arguments(prepare)
    prepare(**parser.parse_args().as_dict())


if __name__ == "__main__":
    run_cli(main)
