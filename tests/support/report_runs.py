"""Run directories for pages, written by hand: one with everything, one as older versions wrote it."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

EVIL = "<script>alert('x')</script> & \"quoted\" {{ 7 * 7 }}"
"""A text that must not become markup."""
VOID = {"meta", "br", "link", "img", "input", "hr"}
SETTINGS = """\
name: {name}
seed: {seed}
data: {{tasks: tasks.yml, train_limits: {{pair: 40}}}}
model: {{encoder: tiny}}
optim: {{lr: 0.0002}}
smart: smart
smoothness: {{weight: 1.0, epsilon: 0.001, step_size: 0.1, sigma: 0.001}}
tracker_options: {{wandb: {{api_key: secret-key}}}}
"""
TASKS = """\
pair: {data_format: PremiseAndOneHypothesis, task_type: Classification, labels: [same, other], metric_meta: [ACC, CMAT],
  metric_for_best: ACC, split_names: [train, dev, test]}
sim: {data_format: PremiseAndOneHypothesis, task_type: Regression, n_class: 1, metric_meta: [Pearson], metric_for_best: Pearson}
ner: {data_format: Sequence, task_type: SequenceLabeling, labels: [O, B-x], metric_meta: [SeqEval], metric_for_best: SeqEval}
qa: {data_format: MRC, task_type: Span, metric_meta: [EM, AnswerF1], metric_for_best: EM}
"""
ENVIRONMENT = {
    "command": ["train.py", "--name", EVIL],
    "python": "3.11.7",
    "packages": {"torch": "2.13.0"},
    "mt_dnn": None,
    "commit": "0123456789ab",
    "device": "cpu, 1 threads",
    "data": {"pair_train": {"source": "data/pair_train.tsv", "sha256": "ab" * 32, "rows": 90}},
}
OLD_SCORES: dict[str, Any] = {
    "step": 20,
    "average": 61.5,
    "scores": {
        "pair": {"ACC": 75.0, "CMAT": [[3, 1], [1, 3]]},
        "sim": {"Pearson": -12.5},
        "ner": {"SeqEval": 0.0},
        "qa": {"EM": None},
    },
    "baselines": {"pair": {"ACC": 50.0}, "sim": {"Pearson": 0.0}, "ner": {"SeqEval": 0.0}},
}
SCORES = OLD_SCORES | {
    "scores": OLD_SCORES["scores"] | {"pair_test": {"ACC": 70.0}},
    "test": ["pair_test"],
    "selected_on": ["pair", "sim"],
    "losses": {"pair": 0.5625},
    "intervals": {"pair": {"ACC": [45.5, 91.25]}, "pair_test": {"ACC": [61.0, 79.0]}},
    "details": {
        "pair": {
            "examples": 8,
            "classes": {
                "kind": "class",
                "rows": [
                    {"name": n, "precision": 75.0, "recall": 75.0, "f1": 74.9, "support": 4}
                    for n in ("same", "other")
                ],
            },
            "confusion": {"labels": ["same", "other"], "counts": [[3, 1], [1, 3]]},
            "calibration": {
                "bins": [
                    {"low": 0.5, "high": 0.6, "count": 0, "confidence": None, "accuracy": None},
                    {"low": 0.9, "high": 1.0, "count": 8, "confidence": 95.0, "accuracy": 75.0},
                ],
                "ece": 20.0,
            },
        },
        "sim": {
            "examples": 8,
            "ranges": [
                {"low": 0.0, "high": 2.5, "count": 4, "bias": 0.75, "mae": 0.875, "rmse": 1.0},
                {"low": 2.5, "high": 5.0, "count": 4, "bias": -0.5, "mae": 0.5, "rmse": 0.625},
            ],
        },
        "qa": {
            "examples": 6,
            "answers": {"with": {"examples": 4, "EM": 50.0}, "without": {"examples": 2, "EM": 0.0}},
        },
    },
}
ERRORS = {
    "pair": [
        {
            "kind": kind,
            "uid": f"{kind}-1",
            "text": {"premise": EVIL, "hypothesis": "a second text"},
            "gold": "same",
            "prediction": "other",
            "confidence": 0.875,
        }
        for kind in ("confident", "uncertain")
    ],
    "sim": [
        {
            "kind": "confident",
            "uid": "7",
            "text": {"premise": "half a pair \ud83d", "hypothesis": "b"},
            "gold": 4.5,
            "prediction": 1.25,
            "confidence": None,
        }
    ],
    "ner": [
        {
            "kind": "confident",
            "uid": "3",
            "text": {"premise": "two words"},
            "gold": ["O", "B-x"],
            "prediction": ["O", "O"],
            "confidence": 0.5,
        }
    ],
}


def metrics() -> list[dict[str, Any]]:
    """Two log points and two evaluations."""
    lines: list[dict[str, Any]] = []
    for step, loss in ((10, 0.75), (20, 0.25)):
        line = {"step": step, "train/lr": 1e-4, "train/grad_norm": None, "train/padding": 0.125}
        for task, share in (("pair", 0.75), ("sim", 0.25)):
            line |= {f"train/{task}/loss": loss, f"train/share/{task}": share}
        line |= {"smart/pair/gain": 40.0 * step, "smart/pair/edge": 0.5, "smart/pair/dropped": 0.0}
        line |= {"smart/pair/rho": loss / 1e5, "smart/pair/rho_proximal": 0.1}
        lines += [line, {"step": step, "eval/pair/ACC": 3.75 * step, "eval/sim/Pearson": -12.5}]
    return lines


def write_lines(path: Path, lines: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def old_run(folder: Path, *, seed: int = 1) -> Path:
    """Write a run as older versions did."""
    folder.mkdir(parents=True)
    (folder / "config.yml").write_text(SETTINGS.format(name=folder.name, seed=seed))
    (folder / "tasks.yml").write_text(TASKS)
    (folder / "environment.json").write_text(json.dumps(ENVIRONMENT))
    (folder / "scores.json").write_text(json.dumps(OLD_SCORES))
    write_lines(folder / "metrics.jsonl", metrics())
    write_lines(folder / "timing.jsonl", [{"step": 10, "speed/examples_per_second": 12.5}])
    return folder


def full_run(folder: Path, *, seed: int = 1) -> Path:
    """Write a run that has all parts of a page."""
    old_run(folder, seed=seed)
    (folder / "scores.json").write_text(json.dumps(SCORES))
    (folder / "errors").mkdir()
    for dataset, lines in ERRORS.items():
        write_lines(folder / "errors" / f"{dataset}.jsonl", lines)
    return folder


class Page(HTMLParser):
    """The parts of an HTML page that tests look at. A tag that is not closed is an AssertionError."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: list[list[list[str]]] = []
        self.titles: list[str] = []
        """Texts of the headings h2."""
        self._open: list[str] = []
        self.text = ""
        """All text outside of the style sheet."""
        self.feed(html)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        elif tag == "h2":
            self.titles.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            return
        self.text += data
        if {"td", "th"} & set(self._open):
            self.tables[-1][-1][-1] += data
        if "h2" in self._open:
            self.titles[-1] += data

    def rows(self, *header: str) -> list[list[str]]:
        """The rows below the header of the only table that begins with these columns, without spaces at the ends."""
        tables = [[[" ".join(c.split()) for c in row] for row in table] for table in self.tables]
        found = [table for table in tables if tuple(table[0][: len(header)]) == header]
        assert len(found) == 1, [table[0] for table in tables]
        return found[0][1:]
