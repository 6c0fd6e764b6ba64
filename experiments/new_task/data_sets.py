"""The data sets of the study, read from a folder of raw files."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_utils.errors import UserError
from data_utils.utf8 import open_lines

Rows = list[tuple[str, ...]]
"""Rows of the label and one or two texts."""


@dataclass(frozen=True)
class DataSet:
    """A data set: where its rows are, and what it is for in the study."""

    train: str
    """Path of the file to train on."""
    test: str
    """Path of the file to test on."""
    columns: tuple[str | int, ...]
    """Columns of the label and the texts: names in the header, or positions in a file without one."""
    is_check: bool
    """Whether the rules may not be changed because of it."""
    only: tuple[str, str] | None = None
    """Column and value of the rows that belong to the data set."""

    @property
    def is_number(self) -> bool:
        """Whether labels are numbers."""
        return self.columns[0] == "score"


STS = ("glue/STS-B/train.tsv", "glue/STS-B/dev.tsv", ("score", "sentence1", "sentence2"))
DATA_SETS = {
    "sts_captions": DataSet(*STS, is_check=False, only=("genre", "main-captions")),
    "sst2": DataSet(
        "glue/SST-2/train.tsv", "glue/SST-2/dev.tsv", ("label", "sentence"), is_check=False
    ),
    "mnli": DataSet(
        *("nli/mnli_train_3k.tsv", "nli/mnli_dev_matched_gold.tsv"),
        ("label", "premise", "hypothesis"),
        is_check=False,
    ),
    "cb": DataSet(
        *("superglue/cb/train.tsv", "superglue/cb/dev.tsv"),
        ("label", "premise", "hypothesis"),
        is_check=False,
    ),
    "mrpc": DataSet(
        *("glue/MRPC/train.tsv", "glue/MRPC/dev.tsv"),
        ("Quality", "#1 String", "#2 String"),
        is_check=False,
    ),
    "sts_news": DataSet(*STS, is_check=True, only=("genre", "main-news")),
    "rte": DataSet(
        *("glue/RTE/train.tsv", "glue/RTE/dev.tsv"),
        ("label", "sentence1", "sentence2"),
        is_check=True,
    ),
    "cola": DataSet("glue/CoLA/train.tsv", "glue/CoLA/dev.tsv", (1, 3), is_check=True),
}


def read(
    data: Path, data_set: DataSet, *, rows: int, test_rows: int, seed: int
) -> tuple[Rows, Rows]:
    """Return the rows to train on and the rows to test on, drawn by the seed.

    Raises:
        UserError: a file is missing.
    """
    drawn = []
    for name, limit in ((data_set.train, rows), (data_set.test, test_rows)):
        found = _read(data / name, data_set)
        random.Random(seed).shuffle(found)
        drawn.append(found[:limit])
    return drawn[0], drawn[1]


def write_csv(path: Path, rows: Rows) -> None:
    """Write rows as CSV with a header, as a new user may have them."""
    names = ["label", "sentence1", "sentence2"][: len(rows[0])]
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(names)
        writer.writerows(rows)


def _read(path: Path, data_set: DataSet) -> Rows:
    if not path.is_file():
        raise UserError(f"{path}: there is no such file; --data names the folder of the raw files")
    with open_lines(path) as lines:
        cells = [line.rstrip("\r\n").split("\t") for line in lines]
    pick = _by_position(data_set.columns)
    if isinstance(data_set.columns[0], str):
        header, *cells = cells
        pick = _by_position([header.index(str(name)) for name in data_set.columns])
        if data_set.only:
            place = header.index(data_set.only[0])
            cells = [row for row in cells if len(row) > place and row[place] == data_set.only[1]]
    found = [pick(row) for row in cells]
    return [row for row in found if len(row) == len(data_set.columns) and all(map(str.strip, row))]


def _by_position(places: Sequence[str | int]) -> Callable[[list[str]], tuple[str, ...]]:
    return lambda row: tuple(row[int(place)] for place in places if int(place) < len(row))
