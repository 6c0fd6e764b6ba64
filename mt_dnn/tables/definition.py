"""The definition of a table: rows, columns, seeds and stages. Does not import torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from data_utils.errors import UserError
from data_utils.registry import choices_hint
from mt_dnn.tables.search import Search
from mt_dnn.tables.settings import Settings


class Repeat(NamedTuple):
    """One repetition of a row: a seed, and with cross-validation a fold."""

    seed: int
    fold: int | None = None
    """Counted from 1; None without cross-validation."""

    def __str__(self) -> str:
        return str(self.seed) if self.fold is None else f"{self.seed}-fold{self.fold}"


@dataclass(frozen=True)
class Column:
    """A column: one metric of one data set, read from the runs that train the tasks ``use``."""

    name: str
    """``dataset.metric``."""
    use: tuple[str, ...]
    """Tasks that the run trains. Several columns may read the same run."""

    @property
    def dataset(self) -> str:
        return self.name.rpartition(".")[0]

    @property
    def metric(self) -> str:
        return self.name.rpartition(".")[2]


@dataclass(frozen=True)
class TableRow:
    """A row or a stage: the settings that its runs change, and the run that they start from."""

    settings: Settings = field(default_factory=dict)
    use: tuple[str, ...] = ()
    """Tasks that one run trains together and that every column reads. Empty: one run for each
    column's tasks."""
    start: str | None = None
    """Name of a stage or of an earlier row. The encoder, and the heads that fit, are loaded from its
    run with the same seed and fold."""
    override: Settings = field(default_factory=dict)
    """Settings of an override file for this row alone. They take precedence over those of the row and of
    the whole table."""
    search: Search | None = None
    """Settings to try, of which the best combination is reported. They take precedence over all others."""


@dataclass(frozen=True)
class Names:
    """Display names in the rendering as papers print a table."""

    rows: dict[str, str] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """A table file, merged with its override file and the command line."""

    path: str
    title: str
    base: Settings
    """Defaults of every row, including ``sizes`` and the settings of the command line."""
    sizes: Settings
    """Settings reduced to fit the machine; printed under the table."""
    rows: dict[str, TableRow]
    """By name."""
    columns: tuple[Column, ...]
    seeds: tuple[int, ...]
    stages: dict[str, TableRow] = field(default_factory=dict)
    """Runs that rows start from, but that are not rows of the table."""
    override: Settings = field(default_factory=dict)
    """Settings that take precedence over those of every row."""
    aggregate: str = "median"
    """How a cell's seeds become one number: shown in the overview and compared with the paper."""
    test: str = "paired_t"
    compare: str | None = None
    """Name of the row that all others are compared with; None: the first one."""
    paper: dict[str, dict[str, float]] = field(default_factory=dict)
    """Row -> column -> the paper's number."""
    paper_source: str = ""
    curves: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Panel title -> columns that form a curve over their number of training examples."""
    names: Names = field(default_factory=Names)
    decimals: int = 1
    """Digits after the point in the rendering as papers print a table."""
    folds: int | None = None
    """Number of folds of cross-validation; None evaluates on the dev splits."""
    keep_models: bool = True
    """Keep the best model of each run. False deletes a model when no other run starts from it."""

    @property
    def repeats(self) -> tuple[Repeat, ...]:
        """The repetitions of every row: each seed, with cross-validation once for each fold."""
        folds = (None,) if self.folds is None else range(1, self.folds + 1)
        return tuple(Repeat(seed, fold) for seed in self.seeds for fold in folds)

    @property
    def reference(self) -> str:
        """Name of the row that all others are compared with."""
        return self.compare or next(iter(self.rows))

    @property
    def over_repeats(self) -> str:
        """The aggregate in words, such as ``median of 5 seeds`` or ``mean of 3 seeds, 5 folds each``."""
        count = len(self.seeds)
        seeds = f"{self.aggregate} of {count} seed{'s' if count > 1 else ''}"
        return seeds if self.folds is None else f"{seeds}, {self.folds} folds each"

    @property
    def panels(self) -> dict[str, tuple[str, ...]]:
        """The curves, without columns that ``--use`` or an override file removed."""
        there = {column.name for column in self.columns}
        kept = {p: tuple(n for n in names if n in there) for p, names in self.curves.items()}
        return {panel: names for panel, names in kept.items() if names}

    def find(self, name: str) -> TableRow:
        """Return the row or stage of that name."""
        return self.rows[name] if name in self.rows else self.stages[name]

    def settings(self, name: str) -> Settings:
        """The merged settings of a row or stage, without the run that it starts from."""
        row = self.find(name)
        return self.base | row.settings | self.override | row.override

    def trials(self, name: str) -> list[Settings]:
        """The settings that the search of a row adds to its own, for each combination; ``[{}]`` without one."""
        search = self.find(name).search
        return [{}] if search is None else search.points

    def trained(self, name: str, column: Column) -> tuple[str, ...] | None:
        """Tasks of the run of row ``name`` that scores ``column``; None if no run of the row does."""
        own = self.find(name).use
        if not own:
            return column.use
        return own if set(column.use) <= set(own) else None

    def restricted(self, use: Sequence[str]) -> Table:
        """Restrict the table to the tasks ``use``.

        Columns that train other tasks are removed. Rows and stages that train several tasks together
        keep those in ``use``.

        Raises:
            UserError: no run trains a named task, no column is left, or a row or stage has no task left.
        """
        own = [task for row in (self.rows | self.stages).values() for task in row.use]
        tasks = dict.fromkeys([task for column in self.columns for task in column.use] + own)
        for task in use:
            if task not in tasks:
                raise UserError(f"--use: no run trains {task!r}.{choices_hint(task, tasks)}")
        columns = tuple(column for column in self.columns if set(column.use) <= set(use))
        if not columns:
            raise UserError(
                f"--use: no column of {self.path} trains only tasks of {', '.join(use)}; name all "
                f"tasks of at least one column"
            )

        def cut(rows: dict[str, TableRow]) -> dict[str, TableRow]:
            return {
                name: dataclasses.replace(row, use=tuple(task for task in row.use if task in use))
                for name, row in rows.items()
            }

        rows, stages = cut(self.rows), cut(self.stages)
        for name, row in (rows | stages).items():
            if self.find(name).use and not row.use:
                raise UserError(f"--use: {name!r} trains none of {', '.join(use)}")
        return dataclasses.replace(self, columns=columns, rows=rows, stages=stages)
