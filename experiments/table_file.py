"""A table as a file: rows, columns and seeds, and the training runs they stand for. No torch here."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_utils.registry import UserError, choices_hint
from data_utils.strict_yaml import read_mapping
from experiments.run_settings import Settings, flatten, identity, parse_settings, settings_hash
from mt_dnn.command import settings

KEYS = (
    *("title", "base", "sizes", "seeds", "rows", "columns"),
    *("aggregate", "test", "paper", "keep_models"),
)
AGGREGATES = ("median", "mean", "best")
TESTS = ("paired_t", "wilcoxon")
OWN = ("name", "output_dir", "seed", "resume", "overwrite", "data.use")
"""Settings that the table itself fills in."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
"""Of a row: it becomes part of folder names."""


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
class Table:
    """A table file, with what the command line added to it."""

    path: str
    title: str
    base: Settings
    """Below every row; holds ``sizes`` and the command line's settings already."""
    sizes: Settings
    """What was cut to fit the machine: printed under the table."""
    rows: dict[str, Settings]
    """Name -> what it changes; the first row is what the others are compared with."""
    columns: tuple[Column, ...]
    seeds: tuple[int, ...]
    aggregate: str = "median"
    """What stands for a cell in the overview and is compared with the paper."""
    test: str = "paired_t"
    paper: dict[str, dict[str, float]] = field(default_factory=dict)
    """Row -> column -> the paper's number."""
    paper_source: str = ""
    keep_models: bool = True
    """Keep the best model of each run; false saves its disk space once the scores are recorded."""


@dataclass(frozen=True)
class PlannedRun:
    """One training run of a table."""

    row: str
    use: tuple[str, ...]
    seed: int
    config: Settings
    """What the run is told: base and row, without the table's own settings."""
    identity: Settings
    """What is computed, as far as it is not the default; two equal ones are the same run."""

    @property
    def name(self) -> str:
        return f"{self.row}-{'+'.join(self.use)}-{self.seed}"

    @property
    def hash(self) -> str:
        return settings_hash(self.identity)


def load_table(
    path: str | Path, *, seeds: Sequence[int] | None = None, overrides: Iterable[str] = ()
) -> Table:
    """Read and check a table file.

    Args:
        seeds: instead of the file's.
        overrides: ``name=value``, over base and sizes; what a row sets itself stays.

    Raises:
        UserError: names the file and the entry that is wrong, and the choices.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"table file {path} does not exist")
    keys, _ = read_mapping(path)
    _known(keys, KEYS, str(path))
    for key in ("base", "seeds", "rows", "columns"):
        if not keys.get(key):
            raise UserError(f"{path}: key {key!r} is missing or empty")
    sizes = _settings(keys.get("sizes"), f"{path}: sizes", refuse=OWN)
    given = _settings(_assignments(overrides), "--set", refuse=OWN)
    columns = tuple(
        _column(name, entry, f"{path}: column {name!r}")
        for name, entry in _mapping(keys["columns"], f"{path}: columns").items()
    )
    rows = {}
    for name, entry in _mapping(keys["rows"], f"{path}: rows").items():
        if not NAME.fullmatch(str(name)):
            raise UserError(f"{path}: row {name!r}: a name is made of letters, digits and _ . + -")
        rows[str(name)] = _settings(entry, f"{path}: row {name!r}", refuse=OWN)
    paper, source = _paper(keys.get("paper"), rows, [c.name for c in columns], f"{path}: paper")
    return Table(
        path=str(path),
        title=str(keys.get("title") or path.stem),
        base=_base(keys["base"], path) | sizes | given,
        sizes=sizes | {key: value for key, value in given.items() if key in sizes},
        rows=rows,
        columns=columns,
        seeds=_seeds(keys["seeds"] if seeds is None else list(seeds), path),
        aggregate=_choice(keys, "aggregate", AGGREGATES, path),
        test=_choice(keys, "test", TESTS, path),
        paper=paper,
        paper_source=source,
        keep_models=_flag(keys, "keep_models", path),
    )


def plan(table: Table) -> list[PlannedRun]:
    """Every run of the table, seed by seed: a table that was stopped has whole seeds.

    Raises:
        UserError: a setting has a value that it cannot have; names the row.
    """
    uses = list(dict.fromkeys(column.use for column in table.columns))
    runs = []
    for row, changes in table.rows.items():
        config = table.base | changes
        resolved = parse_settings(config, f"{table.path}: row {row!r}")
        for use in uses:
            for seed in table.seeds:
                data = dataclasses.replace(resolved.data, use=use)
                own = dataclasses.replace(resolved, data=data, seed=seed)
                runs.append(PlannedRun(row, use, seed, config, identity(own)))
    return sorted(runs, key=lambda run: table.seeds.index(run.seed))


def _settings(entry: Any, where: str, *, refuse: Sequence[str] = ()) -> Settings:
    """Dotted settings of a mapping whose keys may be dotted, nested, or both."""
    known = [name for name, _ in settings()]
    values = dict(flatten(_mapping(entry or {}, where)))
    for name in values:
        if name in refuse:
            raise UserError(f"{where}: {name} is the table's own to set")
        _known([name], known, where, kind="setting")
    return values


def _base(entry: Any, path: Path) -> Settings:
    """An inline mapping, or the path of a run config; its name, seed and tasks are the table's."""
    where = f"{path}: base"
    if isinstance(entry, str):
        if not Path(entry).is_file():
            raise UserError(f"{where}: run config {entry} does not exist")
        entry, where = read_mapping(Path(entry))[0], entry
    return {name: v for name, v in _settings(entry, where).items() if name not in OWN}


def _assignments(overrides: Iterable[str]) -> Settings:
    values = {}  # as text: the configuration's parser gives each its type
    for override in overrides:
        name, equals, value = override.partition("=")
        if not equals:
            raise UserError(f"--set {override}: expected name=value, such as train.epochs=1")
        values[name] = value
    return values


def _column(name: Any, entry: Any, where: str) -> Column:
    if not isinstance(name, str) or not all(name.rpartition(".")[::2]):
        raise UserError(f"{where}: expected dataset.metric, such as rte.ACC")
    entry = _mapping(entry, where)
    _known(entry, ["use"], where)
    use = entry.get("use")
    if not isinstance(use, list) or not use or not all(isinstance(task, str) for task in use):
        raise UserError(f"{where}: use: name the tasks that its runs train, such as [rte]")
    return Column(name, tuple(use))


def _seeds(seeds: Any, path: Path) -> tuple[int, ...]:
    if not isinstance(seeds, list) or not all(type(seed) is int for seed in seeds):
        raise UserError(f"{path}: seeds: {seeds!r} is not a list of whole numbers")
    if len(set(seeds)) < len(seeds):
        raise UserError(f"{path}: seeds: {seeds} has one twice; it would count as two results")
    return tuple(seeds)


def _paper(
    entry: Any, rows: Iterable[str], columns: Iterable[str], where: str
) -> tuple[dict[str, dict[str, float]], str]:
    if not entry:
        return {}, ""
    entry = _mapping(entry, where)
    _known(entry, ["source", "scores"], where)
    if not isinstance(entry.get("source"), str):
        raise UserError(f"{where}: source: say where the numbers are from")
    scores = _mapping(entry.get("scores"), f"{where}: scores")
    _known(scores, rows, where, kind="row")
    for row, numbers in scores.items():
        _known(_mapping(numbers, f"{where}: {row}"), columns, f"{where}: {row}", kind="column")
        for name, number in numbers.items():
            if isinstance(number, bool) or not isinstance(number, (int, float)):
                raise UserError(f"{where}: {row}: {name}: {number!r} is not a number")
    return scores, entry["source"]


def _choice(keys: dict, key: str, choices: Sequence[str], path: Path) -> str:
    value = keys.get(key, choices[0])
    if value not in choices:
        raise UserError(f"{path}: {key}: unknown value {value!r}.{choices_hint(value, choices)}")
    return value


def _flag(keys: dict, key: str, path: Path) -> bool:
    value = keys.get(key, True)
    if not isinstance(value, bool):
        raise UserError(f"{path}: {key}: {value!r} is not true or false")
    return value


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(f"{where}: {value!r} is not a mapping")
    return value


def _known(keys: Iterable[str], choices: Iterable[str], where: str, *, kind: str = "key") -> None:
    choices = list(choices)
    for key in keys:
        if key not in choices:
            raise UserError(f"{where}: unknown {kind} {key!r}.{choices_hint(key, choices)}")
