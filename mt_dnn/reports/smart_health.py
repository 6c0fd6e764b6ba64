"""Whether SMART's terms had an effect, with a sentence about each number."""

from __future__ import annotations

from dataclasses import dataclass

from mt_dnn.reports.charts import LineChart, line_chart, short
from mt_dnn.reports.run_record import RunRecord

ACTS, USEFUL, DOMINATES = 1e-3, 0.01, 0.5
"""Values of rho between which a term acts at all, can help, and outweighs the loss (docs/smart.md)."""


@dataclass(frozen=True)
class Figure:
    """A number that SMART logs for each task."""

    name: str
    title: str
    meaning: str
    log: bool = False
    """Whether its chart has a logarithmic axis."""


FIGURES = (
    Figure(
        "rho",
        "rho of R_s",
        "The gradient of the smoothness term relative to that of the supervised loss. Below 0.001 the "
        "term cannot act; from 0.01 to 0.5 it can help; above, it outweighs the loss.",
        log=True,
    ),
    Figure(
        "rho_proximal",
        "rho of D_Breg",
        "The same for the proximal term, which holds the predictions near those of the moving average.",
        log=True,
    ),
    Figure(
        "gain",
        "gain",
        "The divergence at the perturbation over that at random signs of the same size. Above 1 the "
        "gradient ascent finds directions that change the prediction more than random ones do.",
        log=True,
    ),
    Figure(
        "edge",
        "edge",
        "The share of the perturbation at the edge of the ball of radius epsilon. Near 1 the radius limits "
        "the perturbation; near 0 the ascent does not reach it.",
    ),
    Figure(
        "dropped",
        "dropped",
        "The share of the batches whose smoothness term was not finite and was left out. It should be 0.",
    ),
    Figure(
        "lambda_s",
        "lambda_s",
        "The weight of R_s, which follows the target of smoothness.balance.",
    ),
)


@dataclass(frozen=True)
class FigureValues:
    """The first and the last value of a figure, for one task."""

    first: str
    last: str
    verdict: str
    """What the last value means; empty if it is as it should be."""


@dataclass(frozen=True)
class SmartView:
    """SMART's health over a run."""

    preset: str
    figures: list[Figure]
    """Those that the run has."""
    rows: list[tuple[str, list[FigureValues | None]]]
    """Task, and the values of each figure."""
    charts: list[LineChart]


def smart_view(run: RunRecord) -> SmartView | None:
    """The health of SMART's terms; None for a run without them."""
    curves: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for tag, points in run.curves.items():
        words = tag.split("/")
        if words[0] == "smart" and len(words) == 3:
            curves[words[1], words[2]] = points
    figures = [f for f in FIGURES if any(name == f.name for _, name in curves)]
    if not figures:
        return None
    tasks = list(dict.fromkeys(task for task, _ in curves))
    styles = {task: index for index, task in enumerate(tasks)}
    charts = [
        line_chart(
            figure.title,
            {task: curves[task, figure.name] for task in tasks if (task, figure.name) in curves},
            log=figure.log,
            styles=styles,
        )
        for figure in figures
        if figure.name in ("rho", "rho_proximal", "gain", "lambda_s")
    ]
    rows = [
        (task, [_values(figure.name, curves.get((task, figure.name))) for figure in figures])
        for task in tasks
    ]
    return SmartView(
        preset=str(run.settings.get("smart", "off")),
        figures=figures,
        rows=rows,
        charts=[chart for chart in charts if chart],
    )


def _values(name: str, points: list[tuple[float, float]] | None) -> FigureValues | None:
    if not points:
        return None
    first, last = points[0][1], points[-1][1]
    return FigureValues(short(first), short(last), verdict(name, last))


def verdict(name: str, value: float) -> str:
    """A remark about a value that is not as it should be; else an empty string."""
    if name in ("rho", "rho_proximal"):
        if value < ACTS:
            return "cannot act"
        if value < USEFUL:
            return "weak"
        return "outweighs the loss" if value > DOMINATES else ""
    if name == "gain" and value <= 1:
        return "no better than chance"
    return "terms were left out" if name == "dropped" and value > 0 else ""
