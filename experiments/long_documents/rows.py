"""Write review sentences, and documents that end in one: an encyclopedic passage, then the sentence."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from jsonargparse import ArgumentParser

from data_utils.cli import run_cli
from data_utils.files import write_text
from experiments.suite import read_table

SPLITS = {"train": 800, "dev": 240}
"""Split -> number of sentences."""
PASSAGE_WORDS, SENTENCE_WORDS = 80, 6
"""Least number of words of a passage and of a sentence."""


def texts(path: Path, column: str, words: int) -> Iterator[dict[str, str]]:
    """Yield the records of a table whose text in ``column`` has at least so many words."""
    for row in read_table(path, []):
        if len(row.values[column].split()) >= words:
            yield row.values


def write_rows(passages: str, sentences: str, out: str = "data/long") -> None:
    """Write {out}/sentence_train.tsv, sentence_dev.tsv, and mood_dev.tsv: the dev sentences in documents.

    The passages are the first ones of BoolQ's dev split, and the sentences are drawn with seed 0.

    Args:
        passages: Folder of BoolQ, with dev.tsv (question, passage, label).
        sentences: Folder of SST-2, with train.tsv and dev.tsv (sentence, label).
        out: Folder for the canonical rows.
    """
    rng = random.Random(0)
    starts = [
        f"{values['passage'].strip()} "
        for values in texts(Path(passages) / "dev.tsv", "passage", PASSAGE_WORDS)
    ]
    Path(out).mkdir(parents=True, exist_ok=True)
    for split, count in SPLITS.items():
        found = list(texts(Path(sentences) / f"{split}.tsv", "sentence", SENTENCE_WORDS))
        rng.shuffle(found)
        chosen = found[:count]
        _write(Path(out) / f"sentence_{split}.tsv", chosen, [""] * len(chosen))
    _write(Path(out) / "mood_dev.tsv", chosen, starts)


def _write(path: Path, sentences: list[dict[str, str]], starts: list[str]) -> None:
    """Write rows of id, label, and text: a start and a sentence."""
    lines = [
        f"{i}\t{end['label']}\t{start}{end['sentence'].strip()}\n"
        for i, (start, end) in enumerate(zip(starts, sentences, strict=False))
    ]
    write_text(path, "".join(lines))
    print(f"{path}: {len(lines)} rows")


def main() -> None:
    parser = ArgumentParser(prog="python -m experiments.long_documents.rows", description=__doc__)
    parser.add_function_arguments(write_rows)
    write_rows(**parser.parse_args().as_dict())


if __name__ == "__main__":
    run_cli(main)
