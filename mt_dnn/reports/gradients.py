"""How the tasks' gradients on the encoder agree."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from mt_dnn.reports.charts import LineChart, line_chart
from mt_dnn.reports.run_record import RunRecord

COSINE = "train/cosine/"
"""Start of the tags of the cosines, followed by two tasks."""
CONFLICTS = "train/conflicts"
"""Tag of the share of pairs with a negative cosine."""
MOST_LINES = 10
"""Greatest number of pairs of tasks whose cosines are drawn as lines."""


@dataclass(frozen=True)
class GradientView:
    """Cosines between the gradients of a run's tasks."""

    combine: str
    """The combination of the gradients, ``optim.combine``."""
    tasks: list[str]
    rows: list[list[float | None]]
    """(K, K): mean cosine over the log points; None on the diagonal, and for tasks that never met."""
    conflicts: float | None
    """Mean share of the pairs of an update with a negative cosine, 0 to 1."""
    charts: list[LineChart]


def gradient_view(run: RunRecord) -> GradientView | None:
    """The cosines between the tasks' gradients; None for a run that did not log them."""
    curves = {}
    for tag, points in run.curves.items():
        words = tag.removeprefix(COSINE).split("/")
        if tag.startswith(COSINE) and len(words) == 2:
            curves[words[0], words[1]] = points
    if not curves:
        return None
    found = dict.fromkeys(task for pair in curves for task in pair)
    tasks = [task for task in run.tasks if task in found]
    tasks += [task for task in found if task not in tasks]
    means = {
        pair: statistics.fmean(value for _, value in points) for pair, points in curves.items()
    }
    conflicts = run.curves.get(CONFLICTS)
    lines = {f"{one}, {other}": points for (one, other), points in curves.items()}
    charts = [
        line_chart("cosine", lines) if len(lines) <= MOST_LINES else None,
        line_chart("pairs in conflict", {"pairs in conflict": conflicts}) if conflicts else None,
    ]
    optim = run.settings.get("optim")
    return GradientView(
        combine=str(optim.get("combine", "sum") if isinstance(optim, dict) else "sum"),
        tasks=tasks,
        rows=[[means.get((a, b), means.get((b, a))) for b in tasks] for a in tasks],
        conflicts=statistics.fmean(value for _, value in conflicts) if conflicts else None,
        charts=[chart for chart in charts if chart],
    )
