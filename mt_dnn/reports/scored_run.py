"""A finished run whose predictions are compared or whose details are shown."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from data_utils.errors import UserError
from data_utils.metrics.base import Results
from data_utils.metrics.outcome import Outcome
from data_utils.registries import METRICS
from data_utils.strict_yaml import read_mapping
from data_utils.task_def import TaskDef, dataset_name
from mt_dnn.config.run_format import check_run
from mt_dnn.inference.details.intervals import score_intervals
from mt_dnn.inference.details.predictions import dataset_tasks, read_predictions
from mt_dnn.reports.run_record import read_environment
from mt_dnn.reports.run_tasks import read_tasks
from mt_dnn.reports.score_file import ScoreFile, details_of, read_scores

if TYPE_CHECKING:
    from mt_dnn.task_types import TaskType


@dataclass(frozen=True)
class ScoredRun:
    """A run directory with scores."""

    folder: Path
    scores: ScoreFile
    tasks: dict[str, TaskDef]
    """Data set -> its task."""
    data_dir: Path
    splits: dict[str, str]
    """Data set -> its split; without held-out folds."""
    sources: dict[str, str]
    """Data set -> fingerprint of the source of its rows."""

    @property
    def name(self) -> str:
        return str(self.folder)

    @property
    def scored(self) -> list[str]:
        """The data sets with scores, in the order of scores.json."""
        return [name for name, scores in self.scores.scores.items() if scores]

    @property
    def datasets(self) -> list[str]:
        """The data sets with scores and a file of predictions, in the order of scores.json."""
        files = self.folder / "predictions"
        return [name for name in self.scored if (files / f"{name}.jsonl").exists()]

    def outcome(self, dataset: str) -> Outcome | None:
        """Return what the task of a data set predicts.

        Runs that did not record it need the task types, which import torch.
        """
        detail = self.scores.details.get(dataset)
        if detail is not None:
            name = detail.outcome or ""
            return Outcome[name] if name in Outcome.__members__ else None
        kind = self._kind(dataset)
        return kind.outcome(kind.task)

    def results(self, dataset: str) -> Results:
        """Read the predictions on a data set.

        Raises:
            UserError: the file is damaged, or its rows have no labels.
        """
        path = self.folder / "predictions" / f"{dataset}.jsonl"
        found = read_predictions(path, self.tasks[dataset], self.outcome(dataset))
        if found is None:
            raise UserError(f"{path}: the rows have no labels, so nothing can be compared")
        return found

    def with_details(self, dataset: str) -> ScoreFile:
        """Return the scores with the details of a data set.

        Details that the run did not record are computed from its predictions, if these exist. This needs
        the task types, which import torch.
        """
        path = self.folder / "predictions" / f"{dataset}.jsonl"
        if dataset in self.scores.details or not path.exists():
            return self.scores
        from mt_dnn.inference.details.describe import describe

        kind, results = self._kind(dataset), self.results(dataset)
        metrics = {name: METRICS.get(name) for name in kind.task.metrics}
        details = details_of(describe(kind, results)[0])
        return replace(
            self.scores,
            details=self.scores.details | {dataset: details},
            intervals=self.scores.intervals | {dataset: score_intervals(metrics, results)},
        )

    def _kind(self, dataset: str) -> TaskType:
        """Return the task type; the task is not checked, because older versions allowed other metrics."""
        from mt_dnn.registries import TASK_TYPES

        task = self.tasks[dataset]
        cls = TASK_TYPES.get(TASK_TYPES.canonical(task.task_type, task.where))
        kind: TaskType = cls(replace(task, options=cls.options | task.options))
        return kind


def read_scored_run(folder: str) -> ScoredRun:
    """Read a run directory.

    Args:
        folder: the run directory.

    Raises:
        UserError: the folder is no run, the run has not finished or has a newer format, or a file is damaged.
    """
    path = Path(folder)
    if not (path / "config.yml").exists():
        what = "has no config.yml" if path.is_dir() else "does not exist"
        raise UserError(f"{folder} {what}; name a run directory, such as runs/demo")
    check_run(path)
    scores = read_scores(path / "scores.json")
    if scores is None:
        raise UserError(f"{folder} has no scores.json: finish the run first (--resume true)")
    config, _ = read_mapping(path / "config.yml")
    tasks = read_tasks(path)
    data = read_environment(path / "environment.json").get("data", {})
    splits, sources = {}, {}
    for task in tasks.values():
        for split in task.split_names:
            dataset = dataset_name(task.name, split)
            splits[dataset] = split
            sources[dataset] = data.get(f"{task.name}_{split}", {}).get("sha256", "")
    folder_of_rows = Path((config.get("data") or {}).get("data_dir") or ".")
    return ScoredRun(path, scores, dataset_tasks(tasks), folder_of_rows, splits, sources)
