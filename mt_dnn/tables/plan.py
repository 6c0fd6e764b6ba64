"""Plan the training runs of a table. Does not import torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from data_utils.errors import UserError
from mt_dnn.config.run import RunConfig
from mt_dnn.config.run_format import NUMERICS
from mt_dnn.tables.definition import Repeat, Table
from mt_dnn.tables.search import in_words
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
    trial: int | None = None
    """Index of the combination of the row's search; None without a search."""

    @property
    def seed(self) -> int:
        return self.repeat.seed

    @property
    def hash(self) -> str:
        return settings_hash(self.identity)


def plan(table: Table, numerics: int = NUMERICS) -> list[PlannedRun]:
    """List every run of the table, with one for each combination of a row's search.

    Runs are ordered by seed and fold, so that a table stopped early has complete ones. A run comes before the
    runs that start from it. Its folder name contains the hash of its identity, and the runs that start
    from it have that name in their identity: when its settings change, they are run again too.

    Args:
        numerics: version of the numbers that the runs compute, part of their identity; an older one finds the
            results of an older version.

    Raises:
        UserError: a setting has an invalid value; the message names the row.
    """
    uses = list(dict.fromkeys(column.use for column in table.columns))
    runs: dict[tuple[str, tuple[str, ...], Repeat, int | None], PlannedRun] = {}

    @cache
    def parsed(name: str, trial: int | None) -> RunConfig:
        """Parsing is slow, and the settings of a row are the same for every seed and task."""
        return parse_settings(_settings(table, name, trial), f"{table.path}: row {name!r}")

    def add(
        name: str, use: tuple[str, ...], repeat: Repeat, trial: int | None = None
    ) -> PlannedRun:
        row = table.find(name)
        use = row.use or use
        key = name, use, repeat, trial
        if key not in runs:
            before = add(row.start, use, repeat) if row.start else None
            config = parsed(name, trial)
            runs[key] = _planned(table, config, numerics, name, use, repeat, before, trial)
        return runs[key]

    for repeat in table.repeats:
        for row in table.rows:
            trials = range(len(table.trials(row))) if table.find(row).search else (None,)
            for use in uses:
                for trial in trials:
                    add(row, use, repeat, trial)
    _check_trials(table, runs.values())
    return list(runs.values())


def _settings(table: Table, name: str, trial: int | None) -> Settings:
    return table.settings(name) | ({} if trial is None else table.trials(name)[trial])


def _check_trials(table: Table, runs: Iterable[PlannedRun]) -> None:
    """Check that the combinations of a search are different runs.

    Raises:
        UserError: two are the same, such as by a value null and the value that it stands for.
    """
    seen: dict[tuple[str, str], int | None] = {}
    for run in runs:
        first = seen.setdefault((run.row, run.hash), run.trial)
        if first is not None and run.trial is not None and first != run.trial:
            same = [in_words(table.trials(run.row)[trial]) for trial in (first, run.trial)]
            raise UserError(
                f"{table.path}: row {run.row!r}: search: {' and '.join(same)} are the same run; remove one"
            )


def _planned(
    table: Table,
    parsed: RunConfig,
    numerics: int,
    name: str,
    use: tuple[str, ...],
    repeat: Repeat,
    start: PlannedRun | None,
    trial: int | None,
) -> PlannedRun:
    data = dataclasses.replace(parsed.data, use=use, folds=table.folds, fold=repeat.fold)
    model = parsed.model
    if start is not None:
        model = dataclasses.replace(model, init_from=start.name)
    resolved = dataclasses.replace(parsed, data=data, model=model, seed=repeat.seed)
    known = identity(resolved, numerics)
    parts = [name, str(repeat)] if table.find(name).use else [name, "+".join(use), str(repeat)]
    starts = {row.start for row in (table.rows | table.stages).values()}
    if name in starts or trial is not None:
        parts.append(settings_hash(known)[:8])
    config = _settings(table, name, trial)
    if table.folds is not None:
        config |= {"data.folds": table.folds, "data.fold": repeat.fold}
    return PlannedRun(name, use, repeat, config, known, "-".join(parts), start, trial)
