"""Plan the training runs of a table. Does not import torch."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cache

from mt_dnn.config.run import RunConfig
from mt_dnn.tables.definition import Repeat, Table
from mt_dnn.tables.settings import Settings, identity, parse_settings, settings_hash


@dataclass(frozen=True)
class PlannedRun:
    """One training run of a table."""

    row: str
    """Name of the row or stage."""
    use: tuple[str, ...]
    repeat: Repeat
    config: Settings
    """The merged settings of the row, with the fold, but without name, seed, tasks, output folder and
    start."""
    identity: Settings
    """The settings that determine the result and differ from the defaults. Runs with equal
    identities are the same run."""
    name: str
    """Name of the run's folder."""
    start: PlannedRun | None = None
    """The run that it starts from."""

    @property
    def seed(self) -> int:
        return self.repeat.seed

    @property
    def hash(self) -> str:
        return settings_hash(self.identity)


def plan(table: Table) -> list[PlannedRun]:
    """List every run of the table.

    Runs are ordered by seed and fold, so that a table stopped early has complete ones. A run comes before the
    runs that start from it. Its folder name contains the hash of its identity, and the runs that start
    from it have that name in their identity: when its settings change, they are run again too.

    Raises:
        UserError: a setting has an invalid value; the message names the row.
    """
    uses = list(dict.fromkeys(column.use for column in table.columns))
    runs: dict[tuple[str, tuple[str, ...], Repeat], PlannedRun] = {}

    @cache
    def parsed(name: str) -> RunConfig:
        """Parsing is slow, and the settings of a row are the same for every seed and task."""
        return parse_settings(table.settings(name), f"{table.path}: row {name!r}")

    def add(name: str, use: tuple[str, ...], repeat: Repeat) -> PlannedRun:
        use = table.find(name).use or use
        if (name, use, repeat) not in runs:
            start = table.find(name).start
            before = add(start, use, repeat) if start else None
            runs[name, use, repeat] = _planned(table, parsed(name), name, use, repeat, before)
        return runs[name, use, repeat]

    for repeat in table.repeats:
        for row in table.rows:
            for use in uses:
                add(row, use, repeat)
    return list(runs.values())


def _planned(
    table: Table,
    parsed: RunConfig,
    name: str,
    use: tuple[str, ...],
    repeat: Repeat,
    start: PlannedRun | None,
) -> PlannedRun:
    data = dataclasses.replace(parsed.data, use=use, folds=table.folds, fold=repeat.fold)
    model = parsed.model
    if start is not None:
        model = dataclasses.replace(model, init_from=start.name)
    known = identity(dataclasses.replace(parsed, data=data, model=model, seed=repeat.seed))
    parts = [name, str(repeat)] if table.find(name).use else [name, "+".join(use), str(repeat)]
    if name in {row.start for row in (table.rows | table.stages).values()}:
        parts.append(settings_hash(known)[:8])
    config = table.settings(name)
    if table.folds is not None:
        config |= {"data.folds": table.folds, "data.fold": repeat.fold}
    return PlannedRun(name, use, repeat, config, known, "-".join(parts), start)
