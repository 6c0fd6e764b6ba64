"""Console reports of scores: each evaluation, the final table, and warnings about what was not learnt."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from data_utils.registries import METRICS
from mt_dnn.config.run import RunConfig
from mt_dnn.config.run_format import EVENTS
from mt_dnn.inference.evaluate import Evaluation
from mt_dnn.runs.prepare import RunData
from mt_dnn.runs.run_dir import task_folders
from mt_dnn.tracking import console
from mt_dnn.tracking.progress import IN_A_LINE, Progress
from mt_dnn.tracking.score_table import ScoreRow, evaluation_table, print_scores_table
from mt_dnn.tracking.smart_health import SmartHealth

CONSTANT = 0.05
"""Predicted numbers that vary by less than this share of the labels' deviation count as equal."""
IMBALANCED = 75.0
"""Percentage of the most frequent label from which the advice is about imbalance."""
NOT_SELECTING, TEST = "not selecting", "test"
"""Headings in the final table."""


def show_evaluation(
    progress: Progress, step: int, evaluations: Mapping[str, Evaluation], average: float
) -> None:
    """Print the scores of an evaluation: a line, or a table of more than four data sets."""
    found = [
        (name, e.task.metric_for_best, e.metrics[e.task.metric_for_best], e.loss)
        for name, e in evaluations.items()
        if e.metrics
    ]
    if len(found) > IN_A_LINE:
        progress.show(evaluation_table(found, step=step, average=average))
    else:
        scores = [
            f"{name} {metric} {score:.2f}" + ("" if loss is None else f" (loss {loss:.4f})")
            for name, metric, score, loss in found
        ]
        progress.print(
            "  ".join([f"step {step}: {scores[0]}", *scores[1:], f"average {average:.2f}"])
        )
    for dataset, evaluation in evaluations.items():
        if (shown := constant_prediction(evaluation)) is not None:
            progress.print(
                f"note: all predictions of {dataset} are equal ({shown}): the model has not learnt the "
                f"task yet. If this stays so, raise optim.lr or train.epochs"
            )


def constant_prediction(evaluation: Evaluation) -> str | None:
    """The prediction that all rows, or all words, have although their labels differ; else None.

    Numbers are taken as equal if their standard deviation is below CONSTANT times that of the labels.
    """
    values = [prediction.value for prediction in evaluation.predictions]
    gold = [prediction.gold for prediction in evaluation.predictions]
    if not values or not evaluation.metrics:
        return None
    if all(isinstance(value, list) for value in values):
        values, gold = ([x for row in rows for x in row] for rows in (values, gold))
    if not values or not all(isinstance(value, (int, float, str)) for value in values):
        return None
    if all(isinstance(value, float) for value in values):
        return f"{np.mean(values):.4g}" if np.std(values) < CONSTANT * np.std(gold) else None
    if len(set(values)) > 1 or all(label == gold[0] for label in gold):
        return None
    first = values[0]
    is_id = isinstance(first, int) and first < len(evaluation.task.labels)
    return repr(evaluation.task.labels[first] if is_id else first)


def at_baseline(evaluation: Evaluation) -> str | None:
    """Describe a score that is not better than that of a constant prediction; None if it is better.

    A score in percent must be better by more than a standard error: that of an accuracy with the
    baseline's value, sqrt(b (100 - b) / n), or at most 50 / sqrt(n) where the baseline is 0.
    """
    name, count = evaluation.task.metric_for_best, len(evaluation.predictions)
    score, baseline = evaluation.metrics.get(name), evaluation.baseline.get(name)
    if score is None or baseline is None or math.isnan(score):
        return None
    if not METRICS.get(name).greater_is_better:
        worse = score >= baseline
        return f"{name} {score:.2f} is not below the baseline {baseline:.2f}" if worse else None
    share = baseline if 0 < baseline < 100 else 50.0
    error = math.sqrt(share * (100 - share) / count)
    if score > baseline + error:
        return None
    near = "is not above" if score <= baseline else "is within a standard error of"
    return f"{name} {score:.2f} {near} the baseline {baseline:.2f} ({count} rows)"


def warnings(
    evaluations: Mapping[str, Evaluation], test: Iterable[str], config: RunConfig
) -> list[str]:
    """A line for each data set on which the best model learnt nothing, then one with advice.

    Args:
        evaluations: of the best model.
        test: names of the test sets.
        config: resolved.
    """
    lines, imbalanced = [], []
    for dataset, evaluation in evaluations.items():
        shown, near = constant_prediction(evaluation), at_baseline(evaluation)
        if shown is not None:
            near = f"; {near}" if near else ""
            lines.append(f"warning: {dataset}: all predictions are equal ({shown}){near}")
        elif near:
            lines.append(f"warning: {dataset}: {near}")
        else:
            continue
        if _majority(evaluation) >= IMBALANCED:
            imbalanced.append(f"{dataset} ({_majority(evaluation):.0f}% of one label)")
    if lines:
        lines.append(_advice(config))
    if imbalanced:
        lines.append(
            f"  The labels of {', '.join(imbalanced)} are imbalanced: set class_weights in the options of "
            f"the task, and a metric_meta that begins with F1MAC or MCC, which selects the model"
        )
    for dataset in test:
        gold = [prediction.gold for prediction in evaluations[dataset].predictions]
        if len(gold) > 1 and all(label == gold[0] for label in gold):
            lines.append(
                f"warning: {dataset}: all labels are equal. If they are placeholders of a hidden test set, "
                f"its scores mean nothing: leave the labels empty"
            )
    return lines


def _advice(config: RunConfig) -> str:
    optim, train = config.optim, config.train
    heads = (
        f"not set; such as {10 * optim.lr:g}" if optim.head_lr is None else f"now {optim.head_lr:g}"
    )
    length = f"{train.epochs}" + (f", max_steps {train.max_steps}" if train.max_steps else "")
    return (
        f"  Try, in this order: more updates (train.epochs, now {length}); another learning rate (optim.lr, "
        f"now {optim.lr:g}; higher if the training loss falls slowly, lower if it does not fall), and a "
        f"higher one for the new heads (optim.head_lr, {heads}); the pooling that the "
        f"encoder was trained for (model.pooling, now {config.model.pooling}); and check the rows with "
        f"mt-dnn prepare"
    )


def _majority(evaluation: Evaluation) -> float:
    """Percentage of the most frequent label; 0 if the labels are not classes."""
    gold = [prediction.gold for prediction in evaluation.predictions]
    if not gold or not all(isinstance(label, int) for label in gold):
        return 0.0
    return 100 * Counter(gold).most_common(1)[0][1] / len(gold)


def show_results(data: RunData, final: Mapping[str, Any], health: SmartHealth) -> None:
    """Print the final scores with their baselines.

    Args:
        final: the content of scores.json.
    """
    if any(final["scores"].values()):
        print_scores_table(score_rows(data, final), average=final["average"])
    if line := health.line():
        print(line)


def score_rows(data: RunData, final: Mapping[str, Any]) -> list[ScoreRow]:
    """Rows of the final table: data sets that select the model, other dev sets, test sets."""
    stores = {**data.dev, **data.test}
    groups: dict[str, list[ScoreRow]] = {"": [], NOT_SELECTING: [], TEST: []}
    for dataset, metrics in final["scores"].items():
        task = data.tasks[stores[dataset].manifest.task]
        group = TEST if dataset in final["test"] else NOT_SELECTING
        if dataset in final["selected_on"]:
            group = ""
        for name, value in metrics.items():
            if METRICS.get(name).is_number:
                interval = final.get("intervals", {}).get(dataset, {}).get(name)
                row = ScoreRow(
                    dataset=dataset,
                    metric=name,
                    score=value,
                    baseline=final["baselines"][dataset].get(name),
                    best_step=final["step"],
                    in_average=name == task.metric_for_best,
                    interval=None if interval is None else (interval[0], interval[1]),
                    group=group,
                )
                groups[group].append(row)
    return [row for rows in groups.values() for row in rows]


def show_next(config: RunConfig, data: RunData, run_dir: Path) -> None:
    """Print the run's files and the next commands."""
    first = next(iter(data.tasks))
    predict = f"{console.command('predict')} --run {run_dir} --task {first} --input -"
    if config.plugins:
        predict += f" --plugins {','.join(config.plugins)}"
    commands = {"predict your own rows (TSV on standard input)": predict}
    if (run_dir / "predictions").exists():
        look = f"{console.command('compare')} {run_dir}"
        if config.plugins:
            look += f" --plugins {','.join(config.plugins)}"
        commands = {"see scores by class, and where the model is wrong": look} | commands
    if any(run_dir.glob(EVENTS)):
        curves = f"{console.python()} -m tensorboard.main --logdir {config.output_dir}"
        commands = {"watch the curves": curves} | commands
    own = {folder.name: "the best model of a task" for folder in task_folders(run_dir)}
    console.print_next(run_dir, commands, more=own)
