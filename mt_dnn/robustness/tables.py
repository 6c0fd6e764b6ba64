"""The robustness of runs as tables of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from mt_dnn.reports.detail_tables import table
from mt_dnn.reports.robustness import ATTACK, NOISE

Record = dict[str, Any]


def robustness_tables(names: Sequence[str], records: Sequence[Record]) -> Iterator[RenderableType]:
    """Yield the tables: for each data set the perturbations and the attack, then the challenge sets.

    Args:
        names: short names of the runs, in the order of the columns.
        records: content of robustness.json of each run.
    """
    for dataset, first in records[0]["datasets"].items():
        own = [record["datasets"][dataset] for record in records]
        yield from _perturbations(dataset, first["metric"], names, own)
        if all("attack" in one for one in own):
            yield from _attack(dataset, first["metric"], names, own)
    for name in records[0]["challenges"]:
        if all(name in record["challenges"] for record in records):
            yield from _challenge(name, names, [record["challenges"][name] for record in records])


def _perturbations(
    dataset: str, metric: str, names: Sequence[str], own: Sequence[Record]
) -> Iterator[RenderableType]:
    title = f"{dataset}, {own[0]['rows']} rows: {metric} (change to clean)"
    made = table(title, "text", "rate", "rows changed", *names)
    other = table(f"{dataset}: calibration error in percent / loss", "text", *names)
    made.add_row("clean", "", "", *(_score(one["clean"], metric) for one in own))
    other.add_row("clean", *(_calibration(one["clean"]) for one in own))
    for name, first in own[0]["perturbations"].items():
        parts = [one["perturbations"][name] for one in own]
        cells = [_score(part, metric, one["clean"]) for part, one in zip(parts, own, strict=True)]
        rate, changed = f"{first['options']['rate']:g}", f"{first['changed']:.0f}%"
        made.add_row(Text(name), rate, changed, *cells)
        other.add_row(Text(name), *map(_calibration, parts))
    yield made
    yield other


def _attack(
    dataset: str, metric: str, names: Sequence[str], own: Sequence[Record]
) -> Iterator[RenderableType]:
    attack = own[0]["attack"]
    on = "loss" if attack["on_loss"] else "divergence"
    title = f"{dataset}, attack on the {on} of {attack['rows']} rows"
    columns = [f"{name}\n{what}" for name in names for what in (ATTACK, NOISE)]
    shown = {
        f"{metric} / calibration error": lambda part: _both(part, metric),
        "divergence": lambda part: _number(part["divergence"], ".3g"),
    }
    for value, show in shown.items():
        made = table(f"{title}: {value}", "radius", "of RMS", *columns)
        for place, point in enumerate(attack["points"]):
            points = [one["attack"]["points"][place] for one in own]
            cells = [show(both[what]) for both in points for what in (ATTACK, NOISE)]
            made.add_row(f"{point['radius']:.3g}", f"{100 * point['relative']:.3g}%", *cells)
        yield made


def _challenge(name: str, names: Sequence[str], own: Sequence[Record]) -> Iterator[RenderableType]:
    made = table(f"{name}, task {own[0]['task']}, {own[0]['rows']} rows: ACC", "rows", *names)
    made.add_row("all", *(f"{one['metrics']['ACC']:.2f}" for one in own))
    for kind, groups in own[0]["groups"].items():
        for group, labels in groups.items():
            for label in labels:
                cells = [f"{one['groups'][kind][group][label]['ACC']:.2f}" for one in own]
                made.add_row(Text(f"{kind} {group}, {label}"), *cells)
    made.add_row("calibration error / loss", *map(_calibration, own))
    yield made


def _score(part: Record, metric: str, clean: Record | None = None) -> str:
    value = part["metrics"].get(metric)
    if value is None:
        return "-"
    change = "" if clean is None else f" ({value - clean['metrics'][metric]:+.2f})"
    return f"{value:.2f}{change}"


def _calibration(part: Record) -> str:
    return f"{_number(part['ece'])} / {_number(part['loss'], '.3f')}"


def _both(part: Record, metric: str) -> str:
    """Return the score, and the calibration error where there is one."""
    score = _number(part["metrics"].get(metric))
    return score if part["ece"] is None else f"{score} / {_number(part['ece'])}"


def _number(value: float | None, form: str = ".2f") -> str:
    return "-" if value is None else f"{value:{form}}"
