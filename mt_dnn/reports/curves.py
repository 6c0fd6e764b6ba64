"""Learning curves of one run, and of several in the same charts."""

from __future__ import annotations

from collections.abc import Sequence

from mt_dnn.reports.charts import LineChart, Points, line_chart
from mt_dnn.reports.run_record import RunRecord
from mt_dnn.reports.scores import greater_is_better

RATES = "train/lr/"
"""Start of the tags of the learning rates of parameter groups, where they differ."""
LOSS = "loss"
"""Last part of the tags of losses."""


def curve_charts(run: RunRecord) -> list[LineChart]:
    """Charts of the scores of each data set, the losses of each task, and the training itself."""
    marker = float(run.scores.step) if run.scores else None
    charts = [
        line_chart(dataset, lines, marker=marker)
        for dataset, lines in _scores_by_dataset(run).items()
    ]
    for task in _tasks_with_loss(run):
        lines = {"train": run.curves[f"train/{task}/{LOSS}"]}
        lines |= {
            f"dev {dataset}": points
            for dataset in _evaluated(run)
            if run.task_of(dataset) == task and (points := run.curves.get(f"eval/{dataset}/{LOSS}"))
        }
        charts.append(line_chart(f"{task}: loss", lines, marker=marker))
    return [chart for chart in (*charts, _rates(run), _norms(run)) if chart]


def _rates(run: RunRecord) -> LineChart | None:
    """The learning rate; with groups of parameters, that of each."""
    curves = run.curves.items()
    groups = {tag.removeprefix(RATES): own for tag, own in curves if tag.startswith(RATES)}
    title = "learning rate"
    return line_chart(title, groups or {title: run.curves.get("train/lr", [])})


def _norms(run: RunRecord) -> LineChart | None:
    """The gradient norm, and that of each task where the run logged it."""
    title, whole = "gradient norm", run.curves.get("train/grad_norm", [])
    tags = {task: f"train/{task}/grad_norm" for task in _tasks_with_loss(run)}
    tasks = {task: run.curves[tag] for task, tag in tags.items() if tag in run.curves}
    return line_chart(title, {"all tasks": whole} | tasks if tasks else {title: whole})


def compared_curves(runs: Sequence[RunRecord]) -> list[LineChart]:
    """One chart for each data set, of the metric that selects the model, with a line for each run."""
    styles = {run.name: index for index, run in enumerate(runs)}
    charts = []
    for dataset in dict.fromkeys(name for run in runs for name in _evaluated(run)):
        found: dict[str, dict[str, Points]] = {}
        for run in runs:
            lines = _scores_by_dataset(run).get(dataset, {})
            metric = run.main_metric(dataset)
            metric = metric if metric in lines else next(iter(lines), None)
            if metric is not None:
                found.setdefault(metric, {})[run.name] = lines[metric]
        charts += [
            line_chart(f"{dataset} {metric}", lines, styles=styles)
            for metric, lines in found.items()
        ]
    return [chart for chart in charts if chart]


def _evaluated(run: RunRecord) -> list[str]:
    """Names of the data sets with values under ``eval/``."""
    parts = (tag.split("/") for tag in run.curves if tag.startswith("eval/"))
    return list(dict.fromkeys(words[1] for words in parts if len(words) == 3))


def _scores_by_dataset(run: RunRecord) -> dict[str, dict[str, Points]]:
    """Data set -> metric -> curve. Of metrics where smaller is better there may be a chart each."""
    found: dict[str, dict[str, Points]] = {}
    for tag, points in run.curves.items():
        words = tag.split("/")
        if words[0] == "eval" and len(words) == 3 and words[2] != LOSS:
            dataset, metric = words[1:]
            own = dataset if greater_is_better(metric) else f"{dataset} {metric}"
            found.setdefault(own, {})[metric] = points
    return found


def _tasks_with_loss(run: RunRecord) -> list[str]:
    """In the order of the task file; a task that it does not have comes last."""
    parts = (tag.split("/") for tag in run.curves)
    found = [w[1] for w in parts if w[0] == "train" and len(w) == 3 and w[2] == LOSS]
    return sorted(found, key=lambda task: [*run.tasks, task].index(task))
