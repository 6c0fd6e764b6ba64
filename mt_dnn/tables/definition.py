"""What a table is: rows, columns, seeds, and what a row is trained from. No torch here."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field

from data_utils.errors import UserError
from data_utils.registry import choices_hint
from mt_dnn.tables.settings import Settings


@dataclass(frozen=True)
class Column:
    """One score of the runs that train ``use``."""

    name: str
    """``dataset.metric``."""
    use: tuple[str, ...]
    """Tasks of the run; several columns may read the same run."""

    @property
    def dataset(self) -> str:
        return self.name.rpartition(".")[0]

    @property
    def metric(self) -> str:
        return self.name.rpartition(".")[2]


@dataclass(frozen=True)
class TableRow:
    """What the runs of a row, or of a stage, change and start from."""

    settings: Settings = field(default_factory=dict)
    use: tuple[str, ...] = ()
    """Tasks that ONE run trains together, which every column then reads; empty: a run for each column's."""
    start: str | None = None
    """Stage, or row above, from whose run of the same seed the encoder (and heads that fit) are taken."""
    override: Settings = field(default_factory=dict)
    """What an override file says of this row alone: above everything."""


@dataclass(frozen=True)
class Table:
    """A table file, with what an override file and the command line added to it."""

    path: str
    title: str
    base: Settings
    """Below every row; holds ``sizes`` and the command line's settings already."""
    sizes: Settings
    """What was cut to fit the machine: printed under the table."""
    rows: dict[str, TableRow]
    """The first row is what the others are compared with."""
    columns: tuple[Column, ...]
    seeds: tuple[int, ...]
    stages: dict[str, TableRow] = field(default_factory=dict)
    """Runs that rows start from and that are no rows themselves."""
    override: Settings = field(default_factory=dict)
    """Above every row."""
    aggregate: str = "median"
    """What stands for a cell in the overview and is compared with the paper."""
    test: str = "paired_t"
    paper: dict[str, dict[str, float]] = field(default_factory=dict)
    """Row -> column -> the paper's number."""
    paper_source: str = ""
    curves: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Panel -> columns that are points of one curve, by their number of training examples."""
    keep_models: bool = True
    """Keep the best model of each run; false saves its disk space once no run starts from it."""

    @property
    def over_seeds(self) -> str:
        """What stands for a cell, in words."""
        count = len(self.seeds)
        return f"{self.aggregate} of {count} seed{'s' if count > 1 else ''}"

    @property
    def panels(self) -> dict[str, tuple[str, ...]]:
        """The curves as far as their columns are there: ``--use`` or an override may have cut some."""
        there = {column.name for column in self.columns}
        kept = {p: tuple(n for n in names if n in there) for p, names in self.curves.items()}
        return {panel: names for panel, names in kept.items() if names}

    def find(self, name: str) -> TableRow:
        """A row or a stage."""
        return self.rows[name] if name in self.rows else self.stages[name]

    def settings(self, name: str) -> Settings:
        """All that the runs of a row or stage are told, besides what it starts from."""
        row = self.find(name)
        return self.base | row.settings | self.override | row.override

    def trained(self, name: str, column: Column) -> tuple[str, ...] | None:
        """Tasks of the run in which a row has a column's score; None where it trains other tasks."""
        own = self.find(name).use
        if not own:
            return column.use
        return own if set(column.use) <= set(own) else None

    def restricted(self, use: Sequence[str]) -> Table:
        """The table of these tasks alone: columns that train others are left out, and runs of several
        tasks train those of them that are named.

        Raises:
            UserError: a task that nothing trains, no column is left, or a stage without tasks.
        """
        own = [task for row in (self.rows | self.stages).values() for task in row.use]
        tasks = dict.fromkeys([task for column in self.columns for task in column.use] + own)
        for task in use:
            if task not in tasks:
                raise UserError(f"--use: no run trains {task!r}.{choices_hint(task, tasks)}")
        columns = tuple(column for column in self.columns if set(column.use) <= set(use))
        if not columns:
            raise UserError(f"--use: no column is left of {self.path} with {', '.join(use)} alone")

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
