"""The page of one run or of several: its content, and its HTML from the templates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_utils.files import write_text
from mt_dnn.reports.charts import LineChart, short
from mt_dnn.reports.curves import compared_curves, curve_charts
from mt_dnn.reports.gradients import gradient_view
from mt_dnn.reports.mixture import mixture_view
from mt_dnn.reports.predictions import dataset_views
from mt_dnn.reports.robustness import robustness_view
from mt_dnn.reports.run_record import RunRecord, read_run
from mt_dnn.reports.score_file import MISSING
from mt_dnn.reports.scores import ComparedRow, compared_scores, scores_view
from mt_dnn.reports.settings import (
    Difference,
    environment_facts,
    fact_differences,
    setting_differences,
    settings_view,
)
from mt_dnn.reports.smart_health import smart_view

if TYPE_CHECKING:
    from jinja2 import Environment

FILE = "report.html"
"""Name of the page in a run directory."""


@dataclass(frozen=True)
class Fact:
    """A line at the top of a page."""

    name: str
    text: str
    large: bool = False


@dataclass(frozen=True)
class ProvenanceView:
    """What environment.json records."""

    facts: dict[str, str]
    data: dict[str, list[str]]
    """Split -> rows, SHA-256 and source."""


@dataclass(frozen=True)
class Section:
    """A section of a run; ``key`` names its macro in run.html."""

    key: str
    title: str
    view: Any


@dataclass(frozen=True)
class RunView:
    """A run on a page. Sections without data are left out."""

    name: str
    facts: list[Fact]
    sections: list[Section]


@dataclass(frozen=True)
class Comparison:
    """Several runs beside each other."""

    scores: list[ComparedRow]
    averages: list[float]
    charts: list[LineChart]
    settings: list[Difference]
    facts: list[Difference]


def write_report(folders: Sequence[str | Path], out: str | Path | None = None) -> Path:
    """Write the page of one run, or one page of several runs.

    Args:
        folders: run directories, finished or not.
        out: the file; None writes report.html into the folder of the only run.

    Returns:
        The path of the page.

    Raises:
        UserError: a folder is not a run directory or contains a damaged file; the page cannot be written.

    Example::

        from mt_dnn.reports.page import write_report

        write_report(["runs/demo"])  # runs/demo/report.html
    """
    path = Path(folders[0]) / FILE if out is None else Path(out)
    write_text(path, render(read_runs(folders)))
    return path


def read_runs(folders: Sequence[str | Path]) -> list[RunRecord]:
    """Read run directories; runs with the same name are named with their parent folder, or by path.

    Raises:
        UserError: a folder is not a run directory or contains a damaged file.
    """
    names = run_names(folders)
    return [read_run(Path(folder), name) for folder, name in zip(folders, names, strict=True)]


def run_names(folders: Sequence[str | Path]) -> list[str]:
    """Return a short name for each run: its folder's, with the parent folder, or its path."""
    paths = [Path(folder) for folder in folders]
    parts = [path.resolve().parts for path in paths]
    names = []
    for path, own in zip(paths, parts, strict=True):
        lengths = (n for n in (1, 2) if [other[-n:] for other in parts].count(own[-n:]) == 1)
        length = next(lengths, None)
        names.append(str(path) if length is None else "/".join(own[-length:]))
    return names


def render(runs: Sequence[RunRecord]) -> str:
    """Return the HTML of a page: of one run, or of several with their differences first."""
    several = len(runs) > 1
    html: str = (
        _templates()
        .get_template("page.html")
        .render(
            title=", ".join(run.name for run in runs[:3]) + (", ..." if len(runs) > 3 else ""),
            runs=[run_view(run) for run in runs],
            comparison=compare(runs) if several else None,
        )
    )
    # JSON can hold half of a surrogate pair, which UTF-8 cannot.
    return html.strip().encode("utf-8", "replace").decode("utf-8") + "\n"


def run_view(run: RunRecord) -> RunView:
    """The content of a run's sections."""
    data = {
        split: [str(entry.get(key, "")) for key in ("rows", "sha256", "source")]
        for split, entry in run.environment.get("data", {}).items()
    }
    provenance = ProvenanceView(environment_facts(run), data)
    sections = [
        Section("scores", "Scores", scores_view(run)),
        Section("curves", "Learning curves", curve_charts(run)),
        Section("predictions", "Predictions", dataset_views(run)),
        Section("mixture", "Mixture and speed", mixture_view(run)),
        Section("gradients", "Gradients between tasks", gradient_view(run)),
        Section("smart", "SMART's health", smart_view(run)),
        Section("robustness", "Robustness", robustness_view(run)),
        Section("settings", "Configuration", settings_view(run)),
        Section("provenance", "Provenance", provenance if run.environment else None),
    ]
    return RunView(run.name, _facts(run), [section for section in sections if section.view])


def compare(runs: Sequence[RunRecord]) -> Comparison:
    """What several runs have in common and where they differ."""
    averages = [run.scores.average if run.scores else MISSING for run in runs]
    return Comparison(
        scores=compared_scores(runs),
        averages=averages if any(map(math.isfinite, averages)) else [],
        charts=compared_curves(runs),
        settings=setting_differences(runs),
        facts=fact_differences(runs),
    )


def _facts(run: RunRecord) -> list[Fact]:
    facts = []
    if run.scores and math.isfinite(run.scores.average):
        facts.append(Fact("average", f"{run.scores.average:.2f}", large=True))
        facts.append(Fact("best update", str(run.scores.step)))
    elif not run.scores:
        facts.append(Fact("state", "no scores.json: the run has not finished"))
    last = max((x for points in run.curves.values() for x, _ in points), default=None)
    if last is not None:
        facts.append(Fact("updates", f"{last:.0f}"))
    for name, section, key in (("encoder", "model", "encoder"), ("epochs", "train", "epochs")):
        values = run.settings.get(section)
        if isinstance(values, dict) and key in values:
            facts.append(Fact(name, str(values[key])))
    if run.tasks:
        facts.append(Fact("tasks", ", ".join(run.tasks)))
    for key in ("seed", "smart"):
        if key in run.settings:
            facts.append(Fact(key, str(run.settings[key])))
    if "device" in run.environment:
        facts.append(Fact("device", str(run.environment["device"])))
    return facts


@cache
def _templates() -> Environment:
    """The templates. Every value is escaped; a name that is not defined is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    templates = Environment(
        loader=PackageLoader("mt_dnn.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {
        "place": lambda value: f"{value:.1f}",
        "score": lambda value: _decimals(value, 2),
        "one": lambda value: _decimals(value, 1),
        "signed": lambda value: f"{'+' if value > 0 else ''}{short(value)}",
        "short": short,
        "width": lambda value: f"{min(max(value, 0.0), 100.0) if value == value else 0.0:.1f}",
    }
    return templates


def _decimals(value: float | None, digits: int) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"
