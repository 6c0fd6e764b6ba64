"""Write the rows of study.yml: seven tasks, with training sets of 1,000 to 3,000 rows.

    python -m experiments.multitask.prepare --glue data/glue --pairs data/pairs --out data/multitask

``--glue`` is a folder that experiments.glue.prepare wrote; it has RTE, MRPC, STS-B and SST-2. ``--pairs`` is a folder
with tab-separated files of MNLI, QQP and QNLI (PAIRS below). Every split is cut to a fixed random part of its rows.
"""

from __future__ import annotations

import csv
import random
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data_utils.canonical import write_rows
from data_utils.cli import run_cli
from data_utils.errors import UserError

SEED = 2018
TRAIN = {
    "rte": 2490,
    "mrpc": 1000,
    "stsb": 2000,
    "sst2": 2000,
    "mnli": 3000,
    "qqp": 1000,
    "qnli": 2000,
}
"""Task -> number of training rows. RTE's is its whole training set."""
DEV = 2000
"""Largest number of rows of a dev split."""
FROM_TRAIN = {"sst2": 1128}
"""Task -> unused training rows that are added to its dev split, because that split is small."""

Row = tuple[str, ...]
"""uid, label, text or texts."""


@dataclass(frozen=True)
class Pairs:
    """Files and columns of a task of sentence pairs."""

    train: str
    dev: str
    columns: tuple[str, str, str]
    """Names of the columns: first text, second text, label."""
    quoted: bool = False
    """Whether fields may be in double quotes. Elsewhere a quote is a character of the text."""


class Unquoted(csv.excel_tab):
    """Tab-separated fields in which a double quote is a character of the text."""

    quoting = csv.QUOTE_NONE


PAIRS = {
    "mnli": Pairs("mnli_train.tsv", "mnli_dev.tsv", ("premise", "hypothesis", "label")),
    "qqp": Pairs(
        "qqp_train.tsv", "qqp_dev.tsv", ("question1", "question2", "is_duplicate"), quoted=True
    ),
    "qnli": Pairs("qnli_train.tsv", "qnli_dev.tsv", ("question", "sentence", "label")),
}


def read_canonical(path: Path) -> list[Row]:
    """Read canonical rows; raise UserError if the file does not exist."""
    return [tuple(line.split("\t")) for line in _text(path).splitlines()]


def read_pairs(path: Path, columns: Sequence[str], *, quoted: bool) -> list[Row]:
    """Read a tab-separated file with a header. The uid is the row number, from 0.

    Raises:
        UserError: the file does not exist, or lacks one of the columns.
    """
    dialect = csv.excel_tab if quoted else Unquoted
    lines = csv.DictReader(_text(path).split("\n"), dialect=dialect)
    missing = [column for column in columns if column not in (lines.fieldnames or ())]
    if missing:
        raise UserError(f"{path}:1: no column {', '.join(missing)}; the header must have {columns}")
    first, second, label = columns
    return [
        (str(number), row[label], " ".join(row[first].split()), " ".join(row[second].split()))
        for number, row in enumerate(lines)
    ]


def _text(path: Path) -> str:
    if not path.exists():
        raise UserError(
            f"{path} does not exist; see the docstring of experiments/multitask/prepare"
        )
    return path.read_text(encoding="utf-8")


def part(rows: Sequence[Row], count: int) -> list[Row]:
    """Return ``count`` random rows in their order, or all if there are no more."""
    chosen = random.Random(SEED).sample(range(len(rows)), min(count, len(rows)))
    return [rows[index] for index in sorted(chosen)]


def splits(task: str, train: Sequence[Row], dev: Sequence[Row]) -> dict[str, list[Row]]:
    """Return the train and dev rows of a task, cut to their sizes."""
    size, more = TRAIN[task], FROM_TRAIN.get(task, 0)
    drawn = part(train, size + more)
    random.Random(SEED + 1).shuffle(drawn)
    # uids of the two splits may be equal
    extra = [(f"train-{uid}", *cells) for uid, *cells in drawn[size:]]
    return {"train": drawn[:size], "dev": part(dev, DEV) + extra}


def main(args: Sequence[str] | None = None) -> None:
    """Run the script; ``args`` defaults to those of the process."""
    parser = ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--glue", default="data/glue", help="folder of the prepared GLUE rows")
    parser.add_argument("--pairs", default="data/pairs", help="folder of the files in PAIRS")
    parser.add_argument("--out", default="data/multitask", help="folder to write")
    options = parser.parse_args(args)
    for task in TRAIN:
        if task in PAIRS:
            files, folder = PAIRS[task], Path(options.pairs)
            train, dev = (
                read_pairs(folder / name, files.columns, quoted=files.quoted)
                for name in (files.train, files.dev)
            )
        else:
            glue = Path(options.glue)
            train, dev = (
                read_canonical(glue / f"{task}_{split}.tsv") for split in ("train", "dev")
            )
        for split, rows in splits(task, train, dev).items():
            path = Path(options.out) / f"{task}_{split}.tsv"
            print(f"{path}: {write_rows(path, rows)} rows")


if __name__ == "__main__":
    run_cli(main)
