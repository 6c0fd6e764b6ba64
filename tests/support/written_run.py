"""A run directory with predictions, written without training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TASKS = """\
t:
  data_format: PremiseOnly
  task_type: Classification
  labels: [a, b, c]
  metric_meta: [ACC, F1MAC, ECE]
n: {data_format: PremiseOnly, task_type: Regression, n_class: 1, metric_meta: [Pearson, Spearman]}
w: {data_format: Sequence, task_type: SequenceLabeling, labels: [O, B-x, B-y], metric_meta: [SeqEval]}
q: {data_format: MRC, task_type: SpanYN, metric_meta: [EM]}
"""
OUTCOMES = {"t": "CLASS", "n": "NUMBER", "w": "WORDS", "q": "TEXT"}


def write_run(
    folder: Path, predictions: dict[str, list[dict[str, Any]]], *, tasks: str = TASKS
) -> Path:
    """Write what ``mt-dnn compare`` reads.

    Args:
        predictions: data set -> lines of its file; without ``scores``, a line gets a probability.
    """
    (folder / "predictions").mkdir(parents=True)
    (folder / "config.yml").write_text("name: r\ndata: {data_dir: rows}\n")
    (folder / "tasks.yml").write_text(tasks)
    scores = {name: {"ACC": 50.0} for name in predictions}
    details = {name: {"examples": 1, "outcome": OUTCOMES[name]} for name in predictions}
    found = {"step": 1, "average": 50.0, "scores": scores, "baselines": {}, "details": details}
    (folder / "scores.json").write_text(json.dumps(found))
    for name, lines in predictions.items():
        text = "".join(json.dumps({"scores": [0.4, 0.3, 0.3]} | line) + "\n" for line in lines)
        (folder / "predictions" / f"{name}.jsonl").write_text(text)
    return folder


def lines(gold: Any, predicted: Any) -> list[dict[str, Any]]:
    """One line for each pair; the uids count from 0."""
    pairs = zip(gold, predicted, strict=True)
    return [{"uid": str(i), "prediction": p, "gold": g} for i, (g, p) in enumerate(pairs)]
