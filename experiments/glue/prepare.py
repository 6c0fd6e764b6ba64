"""GLUE -> canonical rows, from the folder of the GLUE download or from the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from jsonargparse import ArgumentParser

from data_utils.canonical import write_rows
from data_utils.cli import run_cli
from data_utils.registry import UserError, choices_hint
from data_utils.task_def import TaskDef, split_role

TASK_FILE = Path(__file__).parent / "tasks.yml"
HUB = "nyu-mll/glue"
NO_GOLD = "-"
"""MNLI's mark for a pair whose annotators did not agree."""
SKIPS_SHOWN = 20


@dataclass(frozen=True)
class Layout:
    """Where a task's columns are. Columns are found by name: their order differs between splits."""

    folder: str
    texts: tuple[str, ...]
    hub_texts: tuple[str, ...]
    label: str = "label"
    index: str = "index"
    """Column of the file's own row number, which GLUE submissions refer to; not every file has it."""
    files: dict[str, str] = field(default_factory=dict)
    """Split -> file, where the name does not follow from the split."""
    headerless: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Split -> columns, for files without a header."""

    def file(self, split: str) -> str:
        """``matched_dev`` -> ``dev_matched.tsv``."""
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
    "rte": Layout("RTE", PAIR, PAIR),
    "wnli": Layout("WNLI", PAIR, PAIR),
    "ax": Layout("diagnostic", PAIR, ("premise", "hypothesis"), files={"test": "diagnostic.tsv"}),
}

Row = tuple[str, ...]
"""uid, label (empty: none), text, and a second text in a pair task."""


def read_file(path: Path, task: TaskDef, split: str, skipped: list[str]) -> Iterator[Row]:
    """The rows of one file of the download; uid is its index column, else the row number from 0.

    A line that cannot be a row is left out, and ``skipped`` gets its place and why.

    Raises:
        UserError: a column is missing, a label is not one of the task's, not UTF-8.
    """
    layout, is_test = LAYOUTS[task.name], split_role(split) == "test"
    # Lines end at \n alone: a text may hold \r.
    with path.open(encoding="utf-8-sig", newline="\n") as stream:
        try:
            lines = ((n, line.rstrip("\r\n").split("\t")) for n, line in enumerate(stream, start=1))
            header = layout.headerless.get(split) or tuple(next(lines, (1, []))[1])
            labelled = _check_columns(path, header, layout, is_test=is_test)
            for row_number, (line_number, cells) in enumerate(lines):
                where = f"{path}:{line_number}"
                if len(cells) != len(header):
                    skipped.append(f"{where}: {len(cells)} columns instead of {len(header)}")
                    continue
                row = dict(zip(header, cells, strict=True))
                label = row[layout.label].strip() if labelled else ""
                label = "" if label == NO_GOLD else label
                if label:
                    _check_label(label, task, where)
                elif not is_test:
                    skipped.append(f"{where}: no gold label")
                    continue
                yield row.get(layout.index, str(row_number)), label, *(row[t] for t in layout.texts)
        except UnicodeDecodeError as error:
            raise UserError(f"{path}: not UTF-8: {error}") from None


def _check_columns(path: Path, header: Row, layout: Layout, *, is_test: bool) -> bool:
    """Whether the file has labels; only test files may lack them."""
    labelled = layout.label in header
    wanted = layout.texts if is_test else (*layout.texts, layout.label)
    missing = [column for column in wanted if column not in header]
    if missing:
        raise UserError(
            f"{path}: no column {', '.join(map(repr, missing))}; "
            f"found {', '.join(map(repr, header)) or 'an empty file'}"
        )
    return labelled


def _check_label(label: str, task: TaskDef, where: str) -> None:
    try:
        task.encode_label(label)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None


def read_hub(task: TaskDef) -> dict[str, Iterator[Row]]:
    """The rows of every split of the hub's dataset; uid is its idx.

    Raises:
        UserError: the hub cannot be reached or lacks the dataset.
    """
    from datasets import load_dataset

    try:
        dataset = load_dataset(HUB, task.name)
    except Exception as error:  # the library raises many kinds; all mean: not loadable
        reason = (str(error).strip() or repr(error)).splitlines()[0]
        raise UserError(f"{HUB} ({task.name}) cannot be loaded from the hub: {reason}") from None
    hub_texts = LAYOUTS[task.name].hub_texts

    def rows(split: str) -> Iterator[Row]:
        role, *kind = reversed(split.split("_"))
        for row in dataset["_".join(["validation" if role == "dev" else role, *kind])]:
            yield str(row["idx"]), hub_label(row["label"], task), *(row[t] for t in hub_texts)

    return {split: rows(split) for split in task.split_names}


def hub_label(label: float, task: TaskDef) -> str:
    """The hub's label as the download writes it: a word, or three decimals; empty for -1."""
    if label == -1:
        return ""
    return f"{label:.3f}" if task.label_is_number else task.labels[int(label)]


def read_download(source: Path, task: TaskDef, skipped: list[str]) -> dict[str, Iterator[Row]]:
    """The rows of every split whose file is there; says which are not."""
    layout = LAYOUTS[task.name]
    if not (source / layout.folder).is_dir():
        print(f"{task.name:5} skipped: no folder {source / layout.folder}")
        return {}
    splits = {}
    for split in task.split_names:
        path = source / layout.file(split)
        if path.is_file():
            splits[split] = read_file(path, task, split, skipped)
        else:
            print(f"{task.name:5} {split}: no file {path}")
    return splits


def prepare(source: str, out: str = "data/glue", tasks: str = "") -> None:
    """Write {out}/{task}_{split}.tsv for every task found, and print the counts.

    Args:
        source: Folder of the GLUE download (with CoLA, RTE, ... inside), or the word hub.
        out: Folder for the canonical rows.
        tasks: Names separated by commas, such as rte,mrpc; all tasks unless given.

    Raises:
        UserError: unknown task, nothing found, a file that is not as GLUE's.
    """
    from data_utils.task_file import load_task_file

    task_defs = load_task_file(TASK_FILE)
    names = [name.strip() for name in tasks.split(",") if name.strip()] or list(task_defs)
    for name in names:
        if name not in task_defs:
            raise UserError(f"unknown task {name!r}.{choices_hint(name, task_defs)}")
    if source != "hub" and not Path(source).is_dir():
        raise UserError(f"--source {source}: no such folder (or give `hub`)")

    written = 0
    for name in names:
        task, skipped = task_defs[name], list[str]()
        splits = read_hub(task) if source == "hub" else read_download(Path(source), task, skipped)
        for split, rows in splits.items():
            path = Path(out) / f"{name}_{split}.tsv"
            all_rows = list(rows)  # read to the end first: a bad file leaves no half-written one
            if not all_rows:
                raise UserError(f"{name} {split}: no rows in {source}; {len(skipped)} skipped")
            print(f"{name:5} {split}: {write_rows(path, all_rows)} rows -> {path}")
            written += 1
        if skipped:
            print(f"{name:5} skipped {len(skipped)} lines:")
            for line in islice(skipped, SKIPS_SHOWN):
                print(f"        {line}")
            if len(skipped) > SKIPS_SHOWN:
                print(f"        and {len(skipped) - SKIPS_SHOWN} more")
    if not written:
        folders = ", ".join(LAYOUTS[name].folder for name in names)
        raise UserError(f"nothing found in {source}; looked for the folders {folders}")


def main() -> None:
    parser = ArgumentParser(prog="python -m experiments.glue.prepare", description=__doc__)
    parser.add_function_arguments(prepare)
    prepare(**parser.parse_args().as_dict())


if __name__ == "__main__":
    run_cli(main)
