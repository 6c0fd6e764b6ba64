"""What a run directory records of its run: settings, tasks, environment, curves, scores, mistakes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from data_utils import strict_json
from data_utils.errors import UserError
from data_utils.strict_yaml import read_mapping
from data_utils.task_def import dataset_name
from data_utils.utf8 import not_utf8
from mt_dnn.config.old_settings import upgrade
from mt_dnn.config.run_format import check_run
from mt_dnn.reports.score_file import ScoreFile, number, read_scores, whole
from mt_dnn.reports.undefined import without_stand_ins

SECRET = ("tracker_options",)
"""Settings that a page leaves out, because a page is passed on and these may contain a key."""
CONFIG = "config.yml"

Curve = list[tuple[float, float]]
"""Pairs (update, value)."""


@dataclass(frozen=True)
class Mistake:
    """A prediction to read, from ``errors/<dataset>.jsonl``."""

    kind: str
    """confident: wrong with the greatest confidence; uncertain: the least certain."""
    uid: str
    text: dict[str, Any]
    """Column -> text; a list where the column holds words."""
    gold: Any
    prediction: Any
    confidence: float
    """As the file has it, 0 to 1."""


@dataclass(frozen=True)
class RunRecord:
    """A run directory, read and checked."""

    folder: Path
    name: str
    """Name on the page; the folder's name, or its path where two runs share a name."""
    settings: dict[str, Any]
    """Sections of config.yml, without :data:`SECRET`."""
    tasks: dict[str, dict[str, Any]]
    environment: dict[str, Any]
    metrics: list[dict[str, float]]
    """Lines of metrics.jsonl: step and tag -> value. Null values are left out."""
    timing: list[dict[str, float]]
    scores: ScoreFile | None
    mistakes: dict[str, list[Mistake]] = field(default_factory=dict)

    @cached_property
    def curves(self) -> dict[str, Curve]:
        """Tag -> its values."""
        return _curves(self.metrics)

    @cached_property
    def speeds(self) -> dict[str, Curve]:
        """As :attr:`curves`, of timing.jsonl."""
        return _curves(self.timing)

    def task_of(self, dataset: str) -> str | None:
        """The task of a data set, found by the names of the splits; None if no task has the data set."""
        for name, task in self.tasks.items():
            splits = task.get("split_names") or ("train", "dev", "test")
            if any(dataset == dataset_name(name, str(split)) for split in splits):
                return name
        return None

    def main_metric(self, dataset: str) -> str | None:
        """The metric that selects the best model (``metric_for_best``); else the first with a score."""
        scores = self.scores.scores.get(dataset, {}) if self.scores else {}
        task = self.tasks.get(self.task_of(dataset) or "", {})
        best = task.get("metric_for_best")
        return str(best) if best in scores else next(iter(scores), None)


def read_run(folder: Path, name: str | None = None) -> RunRecord:
    """Read a run directory. Files that are missing give empty values, apart from config.yml.

    Raises:
        UserError: the folder is not a run directory, has a newer format, or contains a damaged file.
    """
    if not (folder / CONFIG).exists():
        what = f"no {CONFIG} in it" if folder.is_dir() else "there is no such folder"
        raise UserError(
            f"{folder} is not a run directory ({what}); name a folder such as runs/demo"
        )
    check_run(folder)
    settings = {k: v for k, v in upgrade(_yaml(folder / CONFIG)).items() if k not in SECRET}
    tasks = _yaml(folder / "tasks.yml")
    for task, entry in tasks.items():
        if not isinstance(entry, dict) or not isinstance(entry.get("split_names", []), list):
            raise _damaged(folder / "tasks.yml", f"task {task!r} is not as mt-dnn writes it")
    scores = read_scores(folder / "scores.json")
    return RunRecord(
        folder=folder,
        name=name or folder.resolve().name,
        settings=settings,
        tasks=tasks,
        environment=read_environment(folder / "environment.json"),
        metrics=_log(folder / "metrics.jsonl"),
        timing=_log(folder / "timing.jsonl"),
        scores=scores and without_stand_ins(scores, folder),
        mistakes={
            path.stem: _mistakes(path) for path in sorted((folder / "errors").glob("*.jsonl"))
        },
    )


def _damaged(path: Path, what: str, line: int | None = None) -> UserError:
    place = path if line is None else f"{path}:{line}"
    return UserError(f"{place} is damaged: {what:.200}. Restore the file, or move it away")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8") if path.exists() else ""
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise not_utf8(path) from None


def _yaml(path: Path) -> dict[str, Any]:
    values = read_mapping(path)[0] if path.exists() else {}
    return {str(key): value for key, value in values.items()}


def read_environment(path: Path) -> dict[str, Any]:
    """Read environment.json; empty if there is none.

    Raises:
        UserError: the file is damaged.
    """
    text = _text(path)
    if not text:
        return {}
    try:
        values = strict_json.loads(text)
    except ValueError as error:
        raise _damaged(path, str(error)) from None
    if not isinstance(values, dict):
        raise _damaged(path, "expected a JSON object")
    for key in ("packages", "data"):
        if not isinstance(values.get(key, {}), dict):
            raise _damaged(path, f"{key} is not an object")
    if not all(isinstance(entry, dict) for entry in values.get("data", {}).values()):
        raise _damaged(path, "an entry of data is not an object")
    return values


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield number and object of each line. An unfinished last line, of a killed process, is left out."""
    text = _text(path)
    lines = text.split("\n")  # a text may contain other separators of lines
    for place, line in enumerate(lines[:-1], start=1):
        try:
            values = strict_json.loads(line)
        except ValueError as error:
            raise _damaged(path, str(error), place) from None
        if not isinstance(values, dict):
            raise _damaged(path, "expected a JSON object", place)
        yield place, values


def _log(path: Path) -> list[dict[str, float]]:
    """The numbers of each line."""
    lines = []
    for place, values in _lines(path):
        try:
            whole(values["step"])
            numbers = {tag: number(v) for tag, v in values.items() if type(v) in (int, float)}
        except (KeyError, TypeError, ValueError, OverflowError):
            raise _damaged(
                path, "a line without a step, or with too great a number", place
            ) from None
        lines.append(numbers)
    return lines


def _mistakes(path: Path) -> list[Mistake]:
    found = []
    for place, values in _lines(path):
        try:
            found.append(
                Mistake(
                    kind=str(values["kind"]),
                    uid=str(values["uid"]),
                    text={str(column): text for column, text in values["text"].items()},
                    gold=values["gold"],
                    prediction=values["prediction"],
                    confidence=number(values["confidence"]),
                )
            )
        except (KeyError, TypeError, AttributeError, OverflowError) as error:
            raise _damaged(path, f"not a prediction ({error})", place) from None
    return found


def _curves(lines: list[dict[str, float]]) -> dict[str, Curve]:
    curves: dict[str, Curve] = {}
    for line in lines:
        for tag, value in line.items():
            if tag != "step":
                curves.setdefault(tag, []).append((line["step"], value))
    return curves
