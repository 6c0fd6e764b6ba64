"""The labelled data sets of a finished run, read again from their sources."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_utils.errors import UserError
from data_utils.formats import DroppedRow, Example
from data_utils.registries import FORMATS
from data_utils.registry import choices_hint
from data_utils.sources import find_source
from data_utils.strict_yaml import read_mapping
from data_utils.task_def import TaskDef
from data_utils.token_rows import is_tokenized
from mt_dnn.config.run import BatchConfig
from mt_dnn.inference.predictor import Predictor, load
from mt_dnn.model import MTDNN
from mt_dnn.reports.scored_run import ScoredRun, read_scored_run


@dataclass(frozen=True)
class FinishedRun:
    """A run directory with scores."""

    folder: Path
    scored: ScoredRun
    settings: dict[str, Any]
    """Content of config.yml."""

    @property
    def datasets(self) -> list[str]:
        """The data sets with scores, in the order of scores.json."""
        return self.scored.scored

    @property
    def dev_sets(self) -> list[str]:
        """Those of :attr:`datasets` that are no test sets."""
        return [name for name in self.datasets if name not in self.scored.scores.test]

    @property
    def eval_size(self) -> int:
        """Batch size of the run's evaluations. With the same one, scores are equal to the last bit."""
        size = (self.settings.get("batch") or {}).get("eval_size")
        return size if isinstance(size, int) and size > 0 else BatchConfig().eval_size

    def load(self, plugins: tuple[str, ...]) -> tuple[Predictor, MTDNN]:
        """Load the best model, on the CPU; see :func:`mt_dnn.load`."""
        predictor = load(self.folder, plugins=plugins)
        assert isinstance(predictor.model, MTDNN)  # and no ensemble
        return predictor, predictor.model

    def check_datasets(self, names: list[str]) -> None:
        """Check that data sets have scores.

        Raises:
            UserError: one has none; the message lists those that have.
        """
        for name in names:
            if name not in self.datasets:
                hint = choices_hint(name, self.datasets)
                raise UserError(f"--dataset: {self.folder} has no scores of {name!r}.{hint}")

    def examples(self, dataset: str, task: TaskDef) -> list[Example]:
        """Read and parse the rows of a data set, without those that training drops.

        Args:
            dataset: one of :attr:`datasets`.
            task: its task, as the model has it.

        Raises:
            UserError: the rows are gone, malformed, unlabelled or token ids, or the data set is the held-out fold
                of a cross-validation.
        """
        scores = self.scored
        if (self.settings.get("data") or {}).get("folds") is not None and dataset in self.dev_sets:
            raise UserError(
                f"{self.folder}: {dataset} is the held-out fold of a cross-validation, which has no rows of its "
                f"own; name a test set (--dataset), or train without data.folds"
            )
        split = scores.splits[dataset]
        source = find_source(task, split, scores.data_dir)
        if source is None:
            raise UserError(
                f"{self.folder}: the rows of {dataset} are gone: {scores.data_dir} has no "
                f"{task.name}_{split}.tsv, .jsonl or .json. Run the command in the folder from which the run "
                f"was started, or restore the rows"
            )
        data_format = FORMATS.get(task.data_format)
        found = []
        for row in source.rows():
            if is_tokenized(row):
                raise UserError(
                    f"{row.where}: the rows of {dataset} are token ids, so there is no text to change"
                )
            try:
                found.append(data_format.parse(row, task))
            except DroppedRow:
                continue
        if not found or any(example.label is None for example in found):
            raise UserError(f"{source.name}: the rows of {dataset} need labels")
        return found


def read_finished_run(folder: str) -> FinishedRun:
    """Read a run directory.

    Raises:
        UserError: the folder is no run, the run has not finished, or a file is damaged.
    """
    scored = read_scored_run(folder)
    settings, _ = read_mapping(Path(folder) / "config.yml")
    return FinishedRun(Path(folder), scored, settings)


def sample(examples: list[Example], count: int, seed: int) -> list[Example]:
    """Return ``count`` random examples in their order; all if there are not more.

    The choice depends on the number of examples and the seed alone.
    """
    if count >= len(examples):
        return examples
    picked = np.random.default_rng([seed, 3]).choice(len(examples), count, replace=False)
    return [examples[index] for index in sorted(picked)]
