"""A run of four tiny tasks to ask for answers: its data, its training, what it wrote."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_utils.registries import FORMATS
from data_utils.sources import FileSource
from mt_dnn.task_types import load_tasks
from tests.support.words import WORDS

TASKS = """
nli:
  data_format: PremiseAndOneHypothesis
  task_type: Classification
  labels: [entailment, neutral, contradiction]
  metric_meta: [ACC]
  max_seq_len: 12   # below the run's: some rows are cut
tone: {data_format: PremiseOnly, task_type: Classification, n_class: 2, metric_meta: [ACC, F1]}
sim:
  data_format: PremiseAndOneHypothesis
  task_type: Regression
  n_class: 1
  metric_meta: [Pearson]
rank:
  data_format: PremiseAndMultiHypothesis
  task_type: Ranking
  n_class: 1
  metric_meta: [ACC]
"""
LATER = """
probe: {extends: tasks.yml#nli, head: nli, metric_meta: [MCC], split_names: [test]}
other: {extends: tasks.yml#nli, head: elsewhere}
"""
WIDE = "wide: {extends: tasks.yml#nli, head: nli, labels: [a, b], n_class: 2}\n"
LABELS = {
    "nli": ("entailment", "neutral", "contradiction"),
    "tone": ("0", "1"),
    "sim": ("0.5", "2.25", "4"),
}


@dataclass(frozen=True)
class Run:
    folder: Path
    data: Path

    def rows(self, task: str, split: str = "dev") -> list[dict]:
        """The canonical rows by column name."""
        definition = load_tasks(self.data / "tasks.yml")[task]
        columns = FORMATS.get(definition.data_format).columns
        source = FileSource(self.data / f"{task}_{split}.tsv", columns, {})
        return [row.values for row in source.rows()]

    def written(self, dataset: str) -> list[dict]:
        return read_jsonl(self.folder / "predictions" / f"{dataset}.jsonl")


def read_jsonl(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write_data(data: Path) -> None:
    """Random sentences of 1 to 12 words; test splits have no labels."""
    rng = np.random.default_rng(0)

    def sentence() -> str:
        return " ".join(rng.choice(WORDS, rng.integers(1, 13)))

    for split, count in (("train", 16), ("dev", 13), ("test", 7)):
        for task, choices in LABELS.items():
            width = 1 if task == "tone" else 2
            lines = [
                [str(100 + i), choices[i % len(choices)], *(sentence() for _ in range(width))]
                for i in range(count)
            ]
            if split == "test":
                lines = [[uid, "", *texts] for uid, _, *texts in lines]
            text = "".join("\t".join(line) + "\n" for line in lines)
            (data / f"{task}_{split}.tsv").write_text(text, encoding="utf-8")
        with (data / f"rank_{split}.tsv").open("w", encoding="utf-8") as stream:
            for i in range(count):
                k = 2 + i % 3
                label = (
                    "" if split == "test" else ",".join("1" if j == 0 else "0" for j in range(k))
                )
                cells = [str(i), ",".join("x" * k), label, *(sentence() for _ in range(k + 1))]
                stream.write("\t".join(cells) + "\n")
    (data / "tasks.yml").write_text(TASKS, encoding="utf-8")
    (data / "later.yml").write_text(LATER, encoding="utf-8")
    (data / "wide.yml").write_text(WIDE, encoding="utf-8")
