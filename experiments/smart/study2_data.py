"""Write the rows of study2.yml: a large evaluation set for SST-2, and misspelled copies of the dev sets.

    python -m experiments.smart.study2_data --source data/glue --out data/study2

``--source`` is a folder that experiments.glue.prepare wrote. HELD_OUT rows of SST-2's train split, drawn with a
fixed seed, are added to its dev split and taken out of train.
"""

from __future__ import annotations

import random
import re
from argparse import ArgumentParser
from collections.abc import Iterable, Sequence
from pathlib import Path

from data_utils.cli import run_cli
from data_utils.errors import UserError

HELD_OUT = 4000
SEED = 2018
TYPOS = 0.15
"""Share of the words of at least four letters that are misspelled."""

Row = list[str]
"""The cells of a row: uid, label, texts."""


def misspell(text: str, rng: random.Random) -> str:
    """Swap two neighbouring inner letters of some words."""

    def change(match: re.Match[str]) -> str:
        word = match[0]
        if rng.random() >= TYPOS:
            return word
        at = rng.randrange(1, len(word) - 2)
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]

    return re.sub(r"[A-Za-z]{4,}", change, text)


def misspelled(rows: Iterable[Row]) -> list[Row]:
    """Return the rows with misspelled texts; uids and labels stay."""
    rng = random.Random(SEED)
    return [[*row[:2], *(misspell(text, rng) for text in row[2:])] for row in rows]


def held_out(train: Sequence[Row], count: int) -> tuple[list[Row], list[Row]]:
    """Split off ``count`` random rows; return the remaining rows and those."""
    chosen = set(random.Random(SEED).sample(range(len(train)), count))
    return (
        [row for index, row in enumerate(train) if index not in chosen],
        [row for index, row in enumerate(train) if index in chosen],
    )


def read(path: Path) -> list[Row]:
    """Read canonical rows; raise UserError if the file does not exist."""
    if not path.exists():
        raise UserError(f"{path} does not exist; write it with experiments.glue.prepare")
    return [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]


def main(args: Sequence[str] | None = None) -> None:
    """Run the script; ``args`` defaults to those of the process."""
    parser = ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--source", default="data/glue", help="folder of the prepared GLUE rows")
    parser.add_argument("--out", default="data/study2", help="folder to write")
    options = parser.parse_args(args)
    source, out = Path(options.source), Path(options.out)
    splits = {
        f"{task}_{split}": read(source / f"{task}_{split}.tsv")
        for task in ("sst2", "stsb")
        for split in ("train", "dev")
    }
    splits["sst2_train"], more = held_out(splits["sst2_train"], HELD_OUT)
    # uids of the two splits may be equal
    splits["sst2_dev"] += [[f"train-{row[0]}", *row[1:]] for row in more]
    for task in ("sst2", "stsb"):
        splits[f"{task}_typos_dev"] = misspelled(splits[f"{task}_dev"])
    out.mkdir(parents=True, exist_ok=True)
    for name, rows in splits.items():
        text = "".join("\t".join(row) + "\n" for row in rows)
        (out / f"{name}.tsv").write_text(text, encoding="utf-8")
        print(f"{out / name}.tsv: {len(rows)} rows")


if __name__ == "__main__":
    run_cli(main)
