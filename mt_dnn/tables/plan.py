"""A table -> the training runs that it stands for. No torch here."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from mt_dnn.tables.definition import Table
from mt_dnn.tables.settings import Settings, identity, parse_settings, settings_hash


@dataclass(frozen=True)
class PlannedRun:
    """One training run of a table."""

    row: str
    """Row or stage."""
    use: tuple[str, ...]
    seed: int
    config: Settings
    """What the run is told: without the table's own settings, and without what it starts from."""
    identity: Settings
    """What is computed, as far as it is not the default; two equal ones are the same run."""
    name: str
    """Of its folder."""
    start: PlannedRun | None = None
    """The run that it starts from."""

    @property
    def hash(self) -> str:
        return settings_hash(self.identity)


def plan(table: Table) -> list[PlannedRun]:
    """Every run of the table, seed by seed: a table that was stopped has whole seeds.

    A run that others start from comes before them. The hash of what it computes is part of its
    folder's name, and by that of what they start from: change it, and they are run again too.

    Raises:
        UserError: a setting has a value that it cannot have; names the row.
    """
    uses = list(dict.fromkeys(column.use for column in table.columns))
    runs: dict[tuple[str, tuple[str, ...], int], PlannedRun] = {}

    def add(name: str, use: tuple[str, ...], seed: int) -> PlannedRun:
        use = table.find(name).use or use
        if (name, use, seed) not in runs:
            start = table.find(name).start
            before = add(start, use, seed) if start else None
            runs[name, use, seed] = _planned(table, name, use, seed, before)
        return runs[name, use, seed]

    for seed in table.seeds:
        for row in table.rows:
            for use in uses:
                add(row, use, seed)
    return list(runs.values())


def _planned(
    table: Table, name: str, use: tuple[str, ...], seed: int, start: PlannedRun | None
) -> PlannedRun:
    config = table.settings(name)
    parsed = parse_settings(config, f"{table.path}: row {name!r}")
    data = dataclasses.replace(parsed.data, use=use)
    model = parsed.model
    if start is not None:
        model = dataclasses.replace(model, init_from=start.name)
    known = identity(dataclasses.replace(parsed, data=data, model=model, seed=seed))
    parts = [name, str(seed)] if table.find(name).use else [name, "+".join(use), str(seed)]
    if name in {row.start for row in (table.rows | table.stages).values()}:
        parts.append(settings_hash(known)[:8])
    return PlannedRun(name, use, seed, config, known, "-".join(parts), start)
