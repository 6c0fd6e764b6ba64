"""Read and check table files. Does not import torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from data_utils.errors import UserError
from data_utils.strict_yaml import read_mapping
from mt_dnn.config.bounds import MAX_SEED
from mt_dnn.tables.definition import Column, Table
from mt_dnn.tables.entries import (
    FOLDS,
    OWN,
    assignments,
    check_known,
    choice_of,
    flag_of,
    mapping,
    read_keys,
    settings_of,
    task_names,
)
from mt_dnn.tables.override import overridden_rows, read_override
from mt_dnn.tables.presentation import curves_of, names_of, paper_of
from mt_dnn.tables.rows import check_searches, rows_of
from mt_dnn.tables.settings import Settings

KEYS = (
    *("title", "base", "sizes", "seeds", "stages", "rows", "columns", "curves"),
    *("folds", "aggregate", "test", "compare", "paper", "names", "decimals", "keep_models"),
)
AGGREGATES = ("median", "mean", "best")
TESTS = ("paired_t", "wilcoxon")


def load_table(
    path: str | Path,
    *,
    override: str | Path | None = None,
    use: Sequence[str] = (),
    seeds: Sequence[int] | None = None,
    overrides: Iterable[str] = (),
) -> Table:
    """Read and check a table file.

    Args:
        override: an override file, for another encoder or machine. Its ``settings`` and ``sizes`` apply to
            every row, its ``rows`` and ``stages`` to single ones; it may also limit tasks, columns and
            seeds.
        use: train only these tasks; replaces ``use`` of the override file.
        seeds: replaces the seeds of both files.
        overrides: ``name=value`` settings of ``--set``. They replace those of ``base``, ``sizes``
            and the override file. A row's own settings take precedence over them, except for
            settings that the override file also has.

    Raises:
        UserError: an entry is wrong; the message names the file, the entry and the choices.
    """
    path = Path(path)
    keys = read_keys(path, KEYS)
    for key in ("base", "seeds", "rows", "columns"):
        if not keys.get(key):
            raise UserError(f"{path}: key {key!r} is missing or empty")
    over = read_override(Path(override)) if override else {}
    sizes = settings_of(keys.get("sizes"), f"{path}: sizes", refuse=OWN)
    own_sizes = settings_of(over.get("sizes"), f"{override}: sizes", refuse=OWN)
    above = settings_of(over.get("settings"), f"{override}: settings", refuse=OWN) | own_sizes
    given = settings_of(assignments(overrides), "--set", refuse=OWN)
    # A size that the override file replaces by a plain setting no longer counts as a reduction.
    shown = {k: v for k, v in sizes.items() if k not in above} | own_sizes
    shown |= {key: value for key, value in given.items() if key in shown}
    columns = tuple(
        _column(name, entry, f"{path}: column {name!r}")
        for name, entry in mapping(keys["columns"], f"{path}: columns").items()
    )
    stages = rows_of(keys.get("stages") or {}, {}, f"{path}: stage")
    rows = rows_of(keys["rows"], stages, f"{path}: row")
    for name, stage in stages.items():
        if name in rows:
            raise UserError(f"{path}: stage {name!r}: a row has the same name")
        if not stage.use:
            raise UserError(f"{path}: stage {name!r}: use: expected a list of task names")
    names = [column.name for column in columns]
    paper, source = paper_of(keys.get("paper"), rows, names, f"{path}: paper")
    table = Table(
        path=str(path),
        title=", ".join(str(k["title"]) for k in (keys, over) if k.get("title")) or path.stem,
        base=_base(keys["base"], path) | sizes | given,
        override=above | {key: value for key, value in given.items() if key in above},
        sizes=shown,
        rows=rows,
        stages=stages,
        columns=columns,
        seeds=_seeds(over.get("seeds") or keys["seeds"] if seeds is None else list(seeds), path),
        aggregate=choice_of(keys, "aggregate", AGGREGATES, path),
        test=choice_of(keys, "test", TESTS, path),
        compare=_compare(keys.get("compare"), rows, path),
        names=names_of(keys.get("names"), rows, names, f"{path}: names"),
        decimals=_decimals(keys.get("decimals", 1), path),
        paper=paper,
        paper_source=source,
        curves=curves_of(keys.get("curves"), names, f"{path}: curves"),
        folds=_folds(keys.get("folds"), path),
        keep_models=flag_of(keys, "keep_models", path),
    )
    if table.folds is not None and table.test == "wilcoxon":
        raise UserError(
            f"{path}: test: wilcoxon has no correction for folds, whose training sets overlap; use paired_t"
        )
    rows, shown_rows = overridden_rows(rows, over.get("rows"), f"{override}: rows")
    stages, shown_stages = overridden_rows(stages, over.get("stages"), f"{override}: stages")
    check_searches(rows, stages, path)
    sizes = table.sizes | shown_rows | shown_stages
    table = dataclasses.replace(table, rows=rows, stages=stages, sizes=sizes)
    if kept := over.get("columns"):
        check_known(kept, names, f"{override}: columns", kind="column")
        table = dataclasses.replace(table, columns=tuple(c for c in columns if c.name in kept))
    use = use or over.get("use") or ()
    return table.restricted(use) if use else table


def _base(entry: Any, path: Path) -> Settings:
    """Settings of an inline mapping or of a run config file, without those the table runner sets."""
    where = f"{path}: base"
    if isinstance(entry, str):
        if not Path(entry).is_file():
            raise UserError(f"{where}: run config {entry} does not exist")
        entry, where = read_mapping(Path(entry))[0], entry
    values = settings_of(entry, where)
    # Dropping these as the others would silently evaluate on the dev splits.
    folds = [name for name in FOLDS if values.get(name) is not None]
    settings_of({name: values[name] for name in folds}, where, refuse=OWN)
    return {name: value for name, value in values.items() if name not in OWN}


def _column(name: Any, entry: Any, where: str) -> Column:
    if not isinstance(name, str) or not all(name.rpartition(".")[::2]):
        raise UserError(f"{where}: expected dataset.metric, such as rte.ACC")
    entry = mapping(entry, where)
    check_known(entry, ["use"], where)
    return Column(name, task_names(entry.get("use"), f"{where}: use"))


def _seeds(seeds: Any, path: Path) -> tuple[int, ...]:
    if not isinstance(seeds, list) or not all(type(seed) is int for seed in seeds):
        raise UserError(f"{path}: seeds: {seeds!r} is not a list of whole numbers")
    if any(not 0 <= seed <= MAX_SEED for seed in seeds):
        raise UserError(f"{path}: seeds: {seeds}; each must be between 0 and {MAX_SEED}")
    if len(set(seeds)) < len(seeds):
        raise UserError(f"{path}: seeds: {seeds} contains a seed twice; each may occur once")
    return tuple(seeds)


def _folds(folds: Any, path: Path) -> int | None:
    if folds is not None and (type(folds) is not int or folds < 2):
        raise UserError(f"{path}: folds: {folds!r} is not a whole number of at least 2")
    return folds


def _compare(row: Any, rows: Iterable[str], path: Path) -> str | None:
    if row is not None:
        check_known([row], rows, f"{path}: compare", kind="row")
    return row


def _decimals(number: Any, path: Path) -> int:
    if type(number) is not int or not 0 <= number <= 6:
        raise UserError(f"{path}: decimals: {number!r} is not a whole number from 0 to 6")
    return number
