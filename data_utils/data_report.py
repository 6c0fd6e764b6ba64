"""Counts of what is odd in the rows of a data set, and their table."""

from __future__ import annotations

import hashlib
import json
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from data_utils.files import write_bytes
from data_utils.labels import LabelKind
from data_utils.task_def import TaskDef, dataset_name, split_role

FIRST = 3
"""Number of places that are listed of each problem."""
SHOWN_LABELS = 6
"""Largest number of labels in the table; of the others, only the number is shown."""
MUCH_UNKNOWN = 0.05
"""Share of unknown tokens from which it is listed as a problem."""
TEXTS = "texts.bin"
"""File of a store: for each row, a hash of its texts and its line, two little-endian uint64."""


@dataclass
class Problem:
    """How often a problem occurs, and where it occurs first."""

    count: int = 0
    first: list[str] = field(default_factory=list)
    """Places, such as ``file:line``."""

    def add(self, where: str) -> None:
        self.count += 1
        if len(self.first) < FIRST:
            self.first.append(where)


class DataReport:
    """Counts of one data set, collected row by row while its store is built.

    Args:
        task: task of the rows.
        known_keys: keys of JSON rows that are read; other keys are counted. None counts no keys.
    """

    def __init__(self, task: TaskDef, known_keys: Iterable[str] | None) -> None:
        self.task = task
        self.problems: dict[str, Problem] = {}
        self.labels: Counter[Any] = Counter()
        self._numbers = array("d")
        self._known = None if known_keys is None else frozenset(known_keys)
        self._texts, self._uids, self._lines = array("Q"), array("Q"), array("Q")
        self._file = ""

    def problem(self, name: str, where: str) -> None:
        """Count a problem of the row at ``where``."""
        self.problems.setdefault(name, Problem()).add(where)

    def add(self, where: str, values: Iterable[str], *, uid: str, texts: Any, label: Any) -> None:
        """Count a row.

        Args:
            where: place of the row, ``file:line``.
            values: keys of the row.
            uid: id of the row.
            texts: its texts, or its token ids.
            label: its label, as the store has it; None without a label.
        """
        file, _, line = where.replace(", row ", ":").rpartition(":")
        self._file = file
        self._lines.append(int(line) if line.isdigit() else 0)
        self._texts.append(_hash(_JSON.encode(texts)))
        self._uids.append(_hash(uid))
        if self._known is not None:
            for key in set(values) - self._known:
                self.problem(f"unused key {key!r}", where)
        if not uid.strip():
            self.problem("empty uid", where)
        if any(isinstance(text, str) and not text.strip() for text in texts):
            self.problem("empty text", where)
        if label is not None:
            _COUNT.get(self.task.label.kind, _nothing)(self, label, where)

    def add_numbers(self, label: Any, where: str) -> None:
        self._numbers.extend(label if isinstance(label, list) else [label])

    def add_classes(self, label: Any, where: str) -> None:
        if isinstance(label, list):
            self.labels.update(label)
        else:
            self.labels[label] += 1

    def add_set(self, label: Any, where: str) -> None:
        self.labels.update(i for i, held in enumerate(label) if held)

    def add_candidates(self, label: Any, where: str) -> None:
        if isinstance(label, list) and len(label) == 1:
            self.problem("one candidate", where)
        if isinstance(label, list) and not any(label):
            self.problem("no relevant candidate", where)

    def finish(self, tokens: int, unknown: int) -> dict[str, Any]:
        """Return the counts as values of JSON.

        Args:
            tokens: number of tokens.
            unknown: number of unknown tokens among them.
        """
        for name, hashes in (("same text", self._texts), ("same uid", self._uids)):
            for index in _repeated(np.frombuffer(hashes, np.uint64)):
                self.problem(name, f"{self._file}:{self._lines[index]}")
        labels = {str(self.task.decode_label(k)): n for k, n in self.labels.most_common()}
        if len(labels) == 1 and _EXCLUSIVE.get(self.task.label.kind):
            self.problem(f"all labels are {next(iter(labels))}", self._file)
        return {
            "labels": labels,
            "numbers": _range(np.frombuffer(self._numbers)),
            "unknown": round(unknown / max(tokens, 1), 4),
            "problems": {name: asdict(problem) for name, problem in self.problems.items()},
        }

    def save_texts(self, folder: Path) -> None:
        """Write the hashes of the texts, with which splits are compared."""
        pairs = [np.frombuffer(column, np.uint64) for column in (self._texts, self._lines)]
        write_bytes(folder / TEXTS, np.stack(pairs, axis=1).astype("<u8").tobytes())


def _nothing(report: DataReport, label: Any, where: str) -> None:
    """Count nothing of labels that are texts or tokens."""


_COUNT: dict[LabelKind, Callable[[DataReport, Any, str], None]] = {
    LabelKind.NUMBER: DataReport.add_numbers,
    LabelKind.CLASS: DataReport.add_classes,
    LabelKind.SET: DataReport.add_set,
    LabelKind.RELEVANCE: DataReport.add_candidates,
    LabelKind.ANSWER: DataReport.add_candidates,
    LabelKind.ANTECEDENT: DataReport.add_candidates,
}
"""Kind of label -> what is counted of a label."""
_EXCLUSIVE = {LabelKind.CLASS: True}
"""Kinds of which each unit has one of several labels."""

_JSON = json.JSONEncoder(ensure_ascii=False)


def _hash(text: str) -> int:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8)
    return int.from_bytes(digest.digest(), "little")


def _repeated(hashes: np.ndarray) -> np.ndarray:
    """Return the indices of values that occurred before, in order."""
    _, first = np.unique(hashes, return_index=True)
    again = np.ones(len(hashes), bool)
    again[first] = False
    return np.flatnonzero(again)


def _range(numbers: np.ndarray) -> list[float]:
    """Return least, mean, greatest and the number of distinct values; empty without numbers."""
    if not len(numbers):
        return []
    return [
        *(float(numbers.min()), round(float(numbers.mean()), 4), float(numbers.max())),
        len(np.unique(numbers)),
    ]


@dataclass(frozen=True)
class ReportRow:
    """A data set in the table."""

    task: str
    split: str
    rows: int
    longest: int
    truncated: int
    max_seq_len: int
    dropped: dict[str, int]
    report: dict[str, Any]
    """Result of :meth:`DataReport.finish`; empty for a store of an older version."""
    folder: Path
    source: str

    @property
    def name(self) -> str:
        return f"{self.task}_{self.split}"


def report_lines(data: Sequence[ReportRow]) -> Iterator[str]:
    """Yield a table with a line for each data set, then a line for each problem.

    Columns without content are left out.
    """
    trains = {row.task: row for row in data if split_role(row.split) == "train"}
    cells, notes = [], []
    for row in data:
        report = row.report if is_report(row.report) else EMPTY
        problems = {name: Problem(**value) for name, value in report["problems"].items()}
        train = trains.get(row.task)
        if train is not None and train is not row and (both := overlap(row, train)).count:
            problems[f"text also in {dataset_name(train.task, train.split)}"] = both
        unknown = report["unknown"]
        cells.append(
            {
                "data set": row.name,
                "rows": f"{row.rows}",
                "labels": _labels(report),
                "longest": f"{row.longest}",
                "truncated": f"{row.truncated or ''}",
                "dropped": f"{sum(row.dropped.values()) or ''}",
                "[UNK]": f"{100 * unknown:.1f}%" if unknown >= 0.001 else "",
                "problems": f"{sum(p.count for p in problems.values()) or ''}",
            }
        )
        for name, problem in problems.items():
            places = ", ".join(problem.first) + (", ..." if problem.count > FIRST else "")
            notes.append(f"{row.name}: {name}: {problem.count} ({places})")
        if unknown >= MUCH_UNKNOWN:
            notes.append(
                f"{row.name}: {100 * unknown:.0f}% of the tokens are unknown to the tokenizer, which may "
                f"not fit the language"
            )
    if not cells:
        return
    columns = [name for name in cells[0] if any(row[name] for row in cells)]
    widths = {name: max(len(name), *(len(row[name]) for row in cells)) for name in columns}
    for line in [{name: name for name in columns}, *cells]:
        yield "  ".join(line[name].ljust(widths[name]) for name in columns).rstrip()
    yield from notes


EMPTY: dict[str, Any] = {"labels": {}, "numbers": [], "unknown": 0.0, "problems": {}}
"""Report of a store that an older version built."""


def is_report(found: dict[str, Any]) -> bool:
    """Return whether a value that was read from a manifest has the form of a report."""
    if {key: type(value) for key, value in found.items()} != {k: type(v) for k, v in EMPTY.items()}:
        return False
    numbers, problems = found["numbers"], found["problems"].values()
    return (
        len(numbers) in (0, 4)
        and all(isinstance(number, (int, float)) for number in numbers)
        and all(
            isinstance(problem, dict) and set(problem) == {"count", "first"} for problem in problems
        )
        and all(type(p["count"]) is int and _are_texts(p["first"]) for p in problems)
    )


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def overlap(row: ReportRow, train: ReportRow) -> Problem:
    """Count the texts of a data set that also occur in the training rows."""
    try:
        own, other = (
            np.frombuffer((one.folder / TEXTS).read_bytes(), "<u8").reshape(-1, 2)
            for one in (row, train)
        )
    except (OSError, ValueError):  # a store of an older version has no such file
        return Problem()
    found = own[np.isin(own[:, 0], other[:, 0]), 1]
    return Problem(len(found), [f"{row.source}:{line}" for line in found[:FIRST].tolist()])


def _labels(report: dict[str, Any]) -> str:
    if numbers := report["numbers"]:
        low, mean, high, distinct = numbers
        return f"{low:g} to {high:g}, mean {mean:.3g}, {distinct} distinct"
    labels = report["labels"]
    shown = ", ".join(f"{name} {count}" for name, count in list(labels.items())[:SHOWN_LABELS])
    return shown + (
        f", and {len(labels) - SHOWN_LABELS} more" if len(labels) > SHOWN_LABELS else ""
    )
