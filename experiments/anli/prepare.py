"""Prepare canonical rows of ANLI, SNLI, MNLI and FEVER-NLI, from their downloads or the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from jsonargparse import ArgumentParser

from data_utils.cli import run_cli
from data_utils.sources import FileSource, HubSource, RowSource
from data_utils.task_def import TaskDef, split_role
from experiments.suite import (
    Skipped,
    Splits,
    check_source,
    checked_label,
    choose_tasks,
    write_tasks,
)

TASK_FILE = Path(__file__).parent / "tasks.yml"
WORDS = {
    "e": "entailment",
    "n": "neutral",
    "c": "contradiction",
    "SUPPORTS": "entailment",
    "NOT ENOUGH INFO": "neutral",
    "REFUTES": "contradiction",
    "-": "",  # SNLI and MNLI: no majority among the annotators
}
"""Label of ANLI or FEVER -> label word of SNLI, MNLI and the hub."""


@dataclass(frozen=True)
class Layout:
    """Files, hub dataset and columns of a corpus. Columns map our names to theirs if they differ."""

    files: dict[str, tuple[str, ...]]
    """Split -> files of the download, which are concatenated."""
    columns: dict[str, str]
    hub: str
    hub_splits: dict[str, tuple[str, ...]]
    hub_columns: dict[str, str] = field(default_factory=dict)


ROUNDS = ("1", "2", "3")
EACH_ROUND = [(number, role) for role in ("dev", "test") for number in ROUNDS]
MNLI_SPLITS = {"train": "train", "matched_dev": "dev_matched", "mismatched_dev": "dev_mismatched"}
SENTENCES = {
    "uid": "pairID",
    "label": "gold_label",
    "premise": "sentence1",
    "hypothesis": "sentence2",
}

LAYOUTS = {
    "anli": Layout(
        files={"train": tuple(f"anli_v1.0/R{n}/train.jsonl" for n in ROUNDS)}
        | {f"r{n}_{role}": (f"anli_v1.0/R{n}/{role}.jsonl",) for n, role in EACH_ROUND},
        columns={"premise": "context"},
        hub="facebook/anli",
        hub_splits={"train": tuple(f"train_r{n}" for n in ROUNDS)}
        | {f"r{n}_{role}": (f"{role}_r{n}",) for n, role in EACH_ROUND},
    ),
    **{
        f"anli_r{n}": Layout(
            files={"train": (f"anli_v1.0/R{n}/train.jsonl",)},
            columns={"premise": "context"},
            hub="facebook/anli",
            hub_splits={"train": (f"train_r{n}",)},
        )
        for n in ROUNDS
    },
    "snli": Layout(
        files={split: (f"snli_1.0/snli_1.0_{split}.jsonl",) for split in ("train", "dev", "test")},
        columns=SENTENCES,
        hub="stanfordnlp/snli",
        hub_splits={"train": ("train",), "dev": ("validation",), "test": ("test",)},
    ),
    "mnli": Layout(
        files={
            split: (f"multinli_1.0/multinli_1.0_{theirs}.jsonl",)
            for split, theirs in MNLI_SPLITS.items()
        },
        columns=SENTENCES,
        hub="nyu-mll/multi_nli",
        hub_splits={
            split: (theirs.replace("dev", "validation"),) for split, theirs in MNLI_SPLITS.items()
        },
        hub_columns={"uid": "pairID"},
    ),
    # The claim is the hypothesis, the evidence the premise. The copy on the hub names them the other way.
    "fever": Layout(
        files={"train": ("nli_fever/train_fitems.jsonl",)},
        columns={"uid": "fid", "premise": "context", "hypothesis": "query"},
        hub="pietrolesci/nli_fever",
        hub_splits={"train": ("train",)},
        hub_columns={"uid": "fid", "premise": "hypothesis", "hypothesis": "premise"},
    ),
}

InferenceRow = tuple[str, str, str, str]
"""uid, label (empty: none), premise, hypothesis."""


def find_files(source: Path, task: str, split: str) -> list[RowSource]:
    """Files of a split that exist; print which are missing."""
    layout = LAYOUTS[task]
    found: list[RowSource] = []
    for name in layout.files[split]:
        path = source / name
        if path.is_file():
            found.append(FileSource(path, (), layout.columns))
        else:
            print(f"{task} {split}: no file {path}")
    return found


def find_hub(task: str, split: str) -> list[RowSource]:
    """Splits of the hub's dataset that make up our split."""
    layout = LAYOUTS[task]
    return [
        HubSource(layout.hub, None, None, theirs, layout.hub_columns, label_words=True)
        for theirs in layout.hub_splits[split]
    ]


def rows(
    sources: Iterable[RowSource], task: TaskDef, split: str, skipped: Skipped
) -> Iterator[InferenceRow]:
    """Read canonical rows from the sources. Only rows of a test split may lack a label.

    Other rows without a label are left out; their location is appended to ``skipped``.

    Raises:
        UserError: a column is missing, a label is unknown, or the hub cannot be reached.
    """
    for row in chain.from_iterable(source.rows() for source in sources):
        label = row.text("label").strip()
        label = WORDS.get(label, label)
        if label:
            checked_label(label, task, row.where)
        elif split_role(split) != "test":
            skipped.append(f"{row.where}: no gold label")
            continue
        yield row.text("uid"), label, row.text("premise"), row.text("hypothesis")


def prepare(source: str, out: str = "data/anli", tasks: str = "") -> None:
    """Write {out}/{task}_{split}.tsv for every task found, and print the counts.

    Args:
        source: Folder that contains anli_v1.0, snli_1.0, multinli_1.0 and nli_fever, or some of them, or the word `hub` for the Hugging Face hub.
        out: Folder for the canonical rows.
        tasks: Names separated by commas, such as anli,mnli. Default: all tasks.

    Raises:
        UserError: a task is unknown, no data is found, or a file does not have the expected format.
    """
    task_defs = choose_tasks(TASK_FILE, tasks)
    check_source(source)

    def read(task: TaskDef, skipped: Skipped) -> Splits:
        found = {
            split: find_hub(task.name, split)
            if source == "hub"
            else find_files(Path(source), task.name, split)
            for split in task.split_names
        }
        return {split: rows(parts, task, split, skipped) for split, parts in found.items() if parts}

    write_tasks(task_defs, read, source=source, out=out)


def main() -> None:
    parser = ArgumentParser(prog="python -m experiments.anli.prepare", description=__doc__)
    parser.add_function_arguments(prepare)
    prepare(**parser.parse_args().as_dict())


if __name__ == "__main__":
    run_cli(main)
