"""Prepare rows for masked language modelling: unique paragraphs of texts, split into train and dev."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path

from jsonargparse import ArgumentParser

from data_utils.canonical import clean_text
from data_utils.cli import run_cli
from data_utils.errors import UserError
from data_utils.registries import FORMATS
from data_utils.registry import choices_hint
from data_utils.sources import FileSource
from data_utils.task_def import TaskDef
from experiments.suite import numbered_lines

TEXTS = ("text", "premise", "hypothesis", "document", "question")
"""Columns of canonical rows that contain a text or a list of texts."""
WORDS = "tokens"
"""Column that contains the words of a text."""


def text_paragraphs(path: Path) -> Iterator[str]:
    """Read the paragraphs of a plain text, separated by blank lines. Lines are joined by a space.

    Raises:
        UserError: the file is not UTF-8.
    """
    paragraph: list[str] = []
    for _, line in numbered_lines(path):
        if line.strip():
            paragraph.append(line.strip())
        elif paragraph:
            yield " ".join(paragraph)
            paragraph = []
    if paragraph:
        yield " ".join(paragraph)


def row_paragraphs(path: Path, columns: tuple[str, ...]) -> Iterator[str]:
    """Read every text of the canonical rows in a file as a separate paragraph.

    Args:
        columns: columns of a TSV file, in order; not needed for JSON lines.

    Raises:
        UserError: a row is malformed, or has no text column.
    """
    for row in FileSource(path, columns, {}).rows():
        found = [row.values[name] for name in TEXTS if row.values.get(name) is not None]
        if row.values.get(WORDS) is not None:
            found.append(" ".join(map(str, row.items(WORDS))))
        if not found:
            raise UserError(f"{row.where}: no text; expected one of {', '.join((*TEXTS, WORDS))}")
        for value in found:
            yield from map(str, value) if isinstance(value, list) else [str(value)]


def read(path: Path, tasks: dict[str, TaskDef]) -> Iterator[str]:
    """Read the paragraphs of a .txt, .jsonl or .tsv file.

    Args:
        tasks: tasks whose rows may be read; a TSV file must have the name {task}_{split}.tsv of one.

    Raises:
        UserError: the file does not exist, has another suffix, belongs to no task, or a row is malformed.
    """
    if not path.is_file():
        raise UserError(f"--source {path}: no such file")
    if path.suffix == ".txt":
        return text_paragraphs(path)
    if path.suffix == ".jsonl":
        return row_paragraphs(path, ())
    if path.suffix != ".tsv":
        raise UserError(f"--source {path}: expected .txt, .jsonl or .tsv")
    owners = {f"{task.name}_{split}": task for task in tasks.values() for split in task.split_names}
    if path.stem not in owners:
        raise UserError(
            f"--source {path}: a TSV has no column names; --task_file must contain a task with this split, "
            f"so that its columns are known."
            f"{choices_hint(path.stem, owners) if owners else ' No --task_file is given.'}"
        )
    return row_paragraphs(path, FORMATS.get(owners[path.stem].data_format).columns)


def split_paragraphs(
    paragraphs: Iterable[str], *, dev_share: float, seed: int
) -> dict[str, list[tuple[str, str]]]:
    """Split paragraphs into train and dev.

    Repeated paragraphs are left out, so that dev and train share none.

    Returns:
        Split -> (uid, paragraph), in the order of the texts. The uid is the paragraph's number.
    """
    unique = list(dict.fromkeys(filter(None, map(clean_text, paragraphs))))
    dev = set(random.Random(seed).sample(range(len(unique)), round(dev_share * len(unique))))
    splits: dict[str, list[tuple[str, str]]] = {"train": [], "dev": []}
    for number, text in enumerate(unique):
        splits["dev" if number in dev else "train"].append((str(number), text))
    return splits


def prepare(
    source: list[str],
    out: str = "data/mlm",
    task: str = "mlm",
    task_file: str = "",
    dev_share: float = 0.05,
    seed: int = 2018,
) -> None:
    """Write {out}/{task}_train.jsonl and {task}_dev.jsonl, and print the counts.

    Args:
        source: Files: plain texts (.txt), or the canonical rows of another suite (.tsv, .jsonl).
        out: Folder for the rows.
        task: Name of the task that the rows are for.
        task_file: Task file of the suite that the .tsv files are from.
        dev_share: Share of the paragraphs that becomes dev.
        seed: Seed of the random split.

    Raises:
        UserError: a file is missing or malformed, there are too few paragraphs, or ``dev_share`` is not
            in (0, 1).
    """
    if not 0 < dev_share < 1:
        raise UserError(f"--dev_share {dev_share}: must be between 0 and 1")
    tasks: dict[str, TaskDef] = {}
    if task_file:
        from mt_dnn.task_types import load_tasks

        tasks = load_tasks(task_file)
    paragraphs: list[str] = []
    for path in map(Path, source):
        before = len(paragraphs)
        paragraphs += read(path, tasks)
        print(f"{path}: {len(paragraphs) - before} paragraphs")
    splits = split_paragraphs(paragraphs, dev_share=dev_share, seed=seed)
    for split, rows in splits.items():
        if not rows:
            raise UserError(
                f"{task} {split}: no paragraph left of {len(paragraphs)}; give more text, or another "
                f"--dev_share than {dev_share}"
            )
    for split, rows in splits.items():
        path = Path(out) / f"{task}_{split}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", newline="\n") as stream:
            for uid, text in rows:
                stream.write(json.dumps({"uid": uid, "text": text}, ensure_ascii=False) + "\n")
        print(f"{task} {split}: {len(rows)} paragraphs -> {path}")
    left_out = len(paragraphs) - sum(map(len, splits.values()))
    print(f"{task}: left out {left_out} paragraphs that are empty or repeat another")


def main() -> None:
    parser = ArgumentParser(prog="python -m experiments.mlm.prepare", description=__doc__)
    parser.add_argument("--source", nargs="+", required=True, help="Files: .txt, .tsv or .jsonl.")
    parser.add_function_arguments(prepare, skip={"source"})
    prepare(**parser.parse_args().as_dict())


if __name__ == "__main__":
    run_cli(main)
