"""What a run trained on, and how fast."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from mt_dnn.reports.charts import LineChart, line_chart
from mt_dnn.reports.run_record import Curve, RunRecord

SHARE = "train/share/"
"""Start of the tags with each task's share of the batches."""


@dataclass(frozen=True)
class TaskShare:
    """A task in the mixture."""

    task: str
    rows: int | None
    """Rows of its train split; None: not recorded."""
    limit: int | None
    """Greatest number of them that the run trains on; None: all."""
    share: float
    """Share of the batches, 0 to 1."""


@dataclass(frozen=True)
class MixtureView:
    """The tasks of a run, its padding and its speed."""

    strategy: str
    tasks: list[TaskShare]
    padding: float | None
    """Mean share of the tokens that are padding, 0 to 1."""
    speeds: list[tuple[str, float]]
    """Unit and median over the log points."""
    chart: LineChart | None


def mixture_view(run: RunRecord) -> MixtureView | None:
    """The mixture and the speed of a run; None where it logged neither."""
    tags = [tag for tag in run.curves if tag.startswith(SHARE)]
    speeds = {
        unit: run.speeds[tag]
        for unit, tag in (
            ("examples per second", "speed/examples_per_second"),
            ("tokens per second", "speed/tokens_per_second"),
        )
        if tag in run.speeds
    }
    if not tags and not speeds:
        return None
    padding = run.curves.get("train/padding")
    last = max((x for tag in tags for x, _ in run.curves[tag]), default=0.0)
    tasks = [
        TaskShare(
            task=task,
            rows=run.environment.get("data", {}).get(f"{task}_train", {}).get("rows"),
            limit=_limit(run, task),
            share=interval_mean(run.curves[f"{SHARE}{task}"], run.curves, last),
        )
        for task in (tag.removeprefix(SHARE) for tag in tags)
    ]
    examples = speeds.get("examples per second")
    return MixtureView(
        strategy=str(_section(run, "mixing").get("name", "")),
        tasks=sorted(tasks, key=lambda task: -task.share),
        padding=statistics.fmean(value for _, value in padding) if padding else None,
        speeds=[
            (unit, statistics.median(value for _, value in points))
            for unit, points in speeds.items()
        ],
        chart=line_chart("examples per second", {"examples per second": examples})
        if examples
        else None,
    )


def interval_mean(curve: Curve, curves: Mapping[str, Curve], last: float) -> float:
    """Mean of a value over the updates up to ``last``, weighted by the length of the log intervals.

    An interval without a value, in which the task had no batch, counts as 0.
    """
    ends = sorted({x for tag, own in curves.items() if tag.startswith(SHARE) for x, _ in own})
    lengths = {end: end - start for start, end in zip([0.0, *ends], ends, strict=False)}
    return sum(value * lengths[x] for x, value in curve) / last if last else 0.0


def _section(run: RunRecord, name: str) -> dict:
    section = run.settings.get(name)
    return section if isinstance(section, dict) else {}


def _limit(run: RunRecord, task: str) -> int | None:
    data = _section(run, "data")
    own = data.get("train_limits")
    limit = (own if isinstance(own, dict) else {}).get(task, data.get("train_limit"))
    return limit if isinstance(limit, int) else None
