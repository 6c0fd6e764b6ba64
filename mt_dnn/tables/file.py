"""Read and check table files and override files. Does not import torch."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from data_utils.errors import UserError
from data_utils.registry import choices_hint
from data_utils.strict_yaml import read_mapping
from mt_dnn.config.bounds import MAX_SEED
from mt_dnn.config.parser import settings
from mt_dnn.tables.definition import Column, Table, TableRow
from mt_dnn.tables.settings import Settings, flat_settings

KEYS = (
    *("title", "base", "sizes", "seeds", "stages", "rows", "columns", "curves"),
    *("folds", "aggregate", "test", "paper", "keep_models"),
)
OVERRIDE_KEYS = (
    *("extends", "title", "settings", "sizes", "seeds", "use", "columns"),
    *("stages", "rows"),
)
AGGREGATES = ("median", "mean", "best")
TESTS = ("paired_t", "wilcoxon")
FOLDS = ("data.folds", "data.fold")
OWN = ("name", "output_dir", "seed", "resume", "overwrite", "data.use", *FOLDS)
"""Settings that the table runner sets itself."""
ROW_KEYS = ("use", "start")
"""Keys of a row that are not settings."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
"""Valid row names. They become part of folder names."""


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
    keys = _read(path, KEYS)
    for key in ("base", "seeds", "rows", "columns"):
        if not keys.get(key):
            raise UserError(f"{path}: key {key!r} is missing or empty")
    over = _read_override(Path(override)) if override else {}
    sizes = _settings(keys.get("sizes"), f"{path}: sizes", refuse=OWN)
    own_sizes = _settings(over.get("sizes"), f"{override}: sizes", refuse=OWN)
    above = _settings(over.get("settings"), f"{override}: settings", refuse=OWN) | own_sizes
    given = _settings(_assignments(overrides), "--set", refuse=OWN)
    # A size that the override file replaces by a plain setting no longer counts as a reduction.
    shown = {k: v for k, v in sizes.items() if k not in above} | own_sizes
    shown |= {key: value for key, value in given.items() if key in shown}
    columns = tuple(
        _column(name, entry, f"{path}: column {name!r}")
        for name, entry in _mapping(keys["columns"], f"{path}: columns").items()
    )
    stages = _rows(keys.get("stages") or {}, {}, f"{path}: stage")
    rows = _rows(keys["rows"], stages, f"{path}: row")
    for name, stage in stages.items():
        if name in rows or not stage.use:
            raise UserError(
                f"{path}: stage {name!r}: "
                + (
                    "a row has the same name"
                    if name in rows
                    else "use: expected a list of task names"
                )
            )
    names = [column.name for column in columns]
    paper, source = _paper(keys.get("paper"), rows, names, f"{path}: paper")
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
        aggregate=_choice(keys, "aggregate", AGGREGATES, path),
        test=_choice(keys, "test", TESTS, path),
        paper=paper,
        paper_source=source,
        curves=_curves(keys.get("curves"), names, f"{path}: curves"),
        folds=_folds(keys.get("folds"), path),
        keep_models=_flag(keys, "keep_models", path),
    )
    if table.folds is not None and table.test == "wilcoxon":
        raise UserError(
            f"{path}: test: wilcoxon has no correction for folds, whose training sets overlap; use paired_t"
        )
    rows, shown_rows = _overridden(rows, over.get("rows"), f"{override}: rows")
    stages, shown_stages = _overridden(stages, over.get("stages"), f"{override}: stages")
    sizes = table.sizes | shown_rows | shown_stages
    table = dataclasses.replace(table, rows=rows, stages=stages, sizes=sizes)
    if kept := over.get("columns"):
        _known(kept, names, f"{override}: columns", kind="column")
        table = dataclasses.replace(table, columns=tuple(c for c in columns if c.name in kept))
    use = use or over.get("use") or ()
    return table.restricted(use) if use else table


def _read(path: Path, keys: Sequence[str]) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(f"table file {path} does not exist")
    found, _ = read_mapping(path)
    _known(found, keys, str(path))
    if not isinstance(found.get("title", ""), str):
        raise UserError(f"{path}: title: {found['title']!r} is not a text")
    return found


def _read_override(path: Path) -> dict[str, Any]:
    """Read an override file and the one that it extends; mappings present in both are merged."""
    own = _read(path, OVERRIDE_KEYS)
    if "extends" not in own:
        return own
    merged = _read_override(path.parent / str(own.pop("extends")))
    for key, value in own.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merged[key] | value if both else value
    return merged


def _overridden(
    rows: dict[str, TableRow], entry: Any, where: str
) -> tuple[dict[str, TableRow], Settings]:
    """Apply the override file's settings of single rows or stages.

    Returns:
        The changed rows, and the changed settings as ``row: setting`` -> value, to print.
    """
    own = _mapping(entry or {}, where)
    _known(own, rows, where, kind="name")
    changes = {
        name: _settings(values, f"{where}: {name!r}", refuse=OWN) for name, values in own.items()
    }
    shown = {f"{n}: {key}": value for n, values in changes.items() for key, value in values.items()}
    replaced = {n: dataclasses.replace(rows[n], override=values) for n, values in changes.items()}
    return rows | replaced, shown


def _rows(entry: Any, earlier: dict[str, TableRow], where: str) -> dict[str, TableRow]:
    """Parse rows or stages. Each may start only from an earlier one, which rules out cycles."""
    rows: dict[str, TableRow] = {}
    for name, values in _mapping(entry, f"{where}s").items():
        if (
            not isinstance(name, (str, int))
            or isinstance(name, bool)
            or not NAME.fullmatch(str(name))
        ):
            raise UserError(
                f"{where} {name!r}: begin with a letter or digit; _ . + - may follow; quote yes, no, on and off"
            )
        place = f"{where} {name!r}"
        values = _mapping(values or {}, place)
        changes = _settings(
            {key: value for key, value in values.items() if key not in ROW_KEYS}, place, refuse=OWN
        )
        start = values.get("start")
        if start is not None:
            choices = [*earlier, *rows]
            if start not in choices:
                raise UserError(
                    f"{place}: start: no stage or earlier row is named {start!r}."
                    f"{choices_hint(start, choices)}"
                )
            if "model.init_from" in changes:
                raise UserError(f"{place}: set either start or model.init_from, not both")
        use = _tasks(values["use"], f"{place}: use") if "use" in values else ()
        rows[str(name)] = TableRow(changes, use, start)
    return rows


def _tasks(names: Any, where: str) -> tuple[str, ...]:
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise UserError(f"{where}: expected a list of task names, such as [rte]")
    return tuple(names)


def _curves(entry: Any, columns: Sequence[str], where: str) -> dict[str, tuple[str, ...]]:
    curves = {}
    for panel, names in _mapping(entry or {}, where).items():
        if not isinstance(names, list) or not names:
            raise UserError(
                f"{where}: {panel}: expected a list of columns, such as [snli_1pct.ACC, snli.ACC]"
            )
        _known(names, columns, f"{where}: {panel}", kind="column")
        curves[str(panel)] = tuple(names)
    return curves


def _settings(entry: Any, where: str, *, refuse: Sequence[str] = ()) -> Settings:
    """Settings by dotted name, from a mapping with dotted or nested keys or both."""
    known = [name for name, _ in settings()]
    values = flat_settings(_mapping(entry or {}, where))
    for name in values:
        if name in refuse:
            hint = " and set the table key folds" if name in FOLDS else ""
            raise UserError(f"{where}: {name} is set by the table runner; remove it{hint}")
        _known([name], known, where, kind="setting")
    return values


def _base(entry: Any, path: Path) -> Settings:
    """Settings of an inline mapping or of a run config file, without those the table runner sets."""
    where = f"{path}: base"
    if isinstance(entry, str):
        if not Path(entry).is_file():
            raise UserError(f"{where}: run config {entry} does not exist")
        entry, where = read_mapping(Path(entry))[0], entry
    values = _settings(entry, where)
    # Dropping these as the others would silently evaluate on the dev splits.
    folds = [name for name in FOLDS if values.get(name) is not None]
    _settings({name: values[name] for name in folds}, where, refuse=OWN)
    return {name: value for name, value in values.items() if name not in OWN}


def _assignments(overrides: Iterable[str]) -> Settings:
    values = {}  # kept as text; the parser of the run configuration converts them
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
    return Column(name, _tasks(entry.get("use"), f"{where}: use"))


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


def _paper(
    entry: Any, rows: Iterable[str], columns: Iterable[str], where: str
) -> tuple[dict[str, dict[str, float]], str]:
    if not entry:
        return {}, ""
    entry = _mapping(entry, where)
    _known(entry, ["source", "scores"], where)
    if not isinstance(entry.get("source"), str):
        raise UserError(f"{where}: source: state where the numbers come from")
    scores = _mapping(entry.get("scores"), f"{where}: scores")
    _known(scores, rows, where, kind="row")
    for row, numbers in scores.items():
        _known(_mapping(numbers, f"{where}: {row}"), columns, f"{where}: {row}", kind="column")
        for name, number in numbers.items():
            is_number = isinstance(number, (int, float)) and not isinstance(number, bool)
            if not is_number or not abs(number) < math.inf:
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
