"""Tracker reports of a run: its setup, evaluations, plots and best scores."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

from transformers import PreTrainedTokenizerBase

from data_utils.registries import METRICS
from data_utils.store import StoreSubset, TaskStore
from mt_dnn.config.dotted import flatten
from mt_dnn.config.run import RunConfig
from mt_dnn.inference.evaluate import Evaluation
from mt_dnn.objective.objective import Objective
from mt_dnn.objective.terms import LossTerm
from mt_dnn.runs.prepare import RunData
from mt_dnn.runs.run_dir import config_yaml
from mt_dnn.task_types import Prediction, TaskType
from mt_dnn.tracking.charts import SMOOTHNESS_FIGURES, Charts, charts
from mt_dnn.tracking.cosines import cosine_figure
from mt_dnn.tracking.mistakes import mistakes_list
from mt_dnn.tracking.prediction_plots import confusion_matrix_figure, scatter_figure
from mt_dnn.tracking.tracker import Tracker
from mt_dnn.tracking.values import fenced, markdown_table
from mt_dnn.training import report
from mt_dnn.training.optim import group_rates

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mt_dnn.training.trainer import Trainer


def log_setup(tracker: Tracker, config: RunConfig, data: RunData, objective: Objective) -> None:
    """Start the trackers, and log configuration, task table, hyperparameters and the charts."""
    values = dataclasses.asdict(config)
    values.pop("tracker_options")
    tracker.start(flatten(values))
    tracker.text("config", fenced(config_yaml(config)))
    columns = ["task", "type", "format", "classes", "metrics", "best by", "train", "dev"]
    rows = []
    for task in data.tasks.values():
        dev = [f"{n} {len(s)}" for n, s in data.dev.items() if s.manifest.task == task.name]
        rows.append(
            [
                *(task.name, task.task_type, task.data_format, task.labels or task.n_class),
                *(task.metrics, task.metric_for_best, len(data.train.get(task.name, ())), dev),
            ]
        )
    tracker.text("tasks", markdown_table(columns, rows))
    # Settings of where a run is stored and computed are no hyperparameters.
    for field in ("name", "output_dir", "resume", "overwrite", "system", "trackers"):
        values.pop(field)
    tracker.hparams(flatten(values))
    compared = config.optim.combine != "sum" or config.train.gradient_cosines
    tracker.charts(_charts(data, objective, cosines=compared))


def _charts(data: RunData, objective: Objective, *, cosines: bool) -> Charts:
    """The charts of a run's tasks and loss terms."""
    terms = [term.tag for term in objective.terms if isinstance(term, LossTerm)]
    smart = SMOOTHNESS_FIGURES if "smoothness" in terms else ()
    if any(store.manifest.soft_labels for store in data.train.values()):
        terms.append("distill")
    datasets: dict[str, list[str]] = {name: [] for name in data.tasks}
    for dataset, store in data.dev.items():
        datasets[store.manifest.task].append(dataset)
    metrics = [name for task in data.tasks.values() for name in task.metrics]
    numbers = [name for name in metrics if METRICS.get(name).is_number]
    best = [task.metric_for_best for task in data.tasks.values()]
    percentages = [name for name in best if METRICS.get(name).greater_is_better]
    return charts(datasets, numbers, terms, smart=smart, together=percentages, cosines=cosines)


def log_interval(trainer: Trainer) -> None:
    """Log and print the figures since the last log point: losses, gradients, rates and speed."""
    trainer.nonfinite.check()
    meters, now = trainer.meters, time.perf_counter()
    seconds, trainer.clock = now - trainer.clock, now
    examples, tokens, _ = meters.counted()
    speed = {
        "speed/examples_per_second": examples / seconds,
        "speed/tokens_per_second": tokens / seconds,
    }
    for tag, value in trainer.objective.figures().items():
        meters.add(tag, value)
    batches = dict(meters.batches)
    values = meters.read()
    trainer.cosines.add(values)
    losses = {task: values.get(f"train/{task}/loss") for task in batches}
    if line := report.weak_terms(trainer.config, trainer.smart_health.add(values, batches)):
        trainer.progress.print(line)
    rate = trainer.timeline.rate(trainer.step - 1) * trainer.config.optim.lr
    trainer.tracker.scalars(
        trainer.step, values | {"train/lr": rate} | group_rates(trainer.optimizer)
    )
    trainer.tracker.timings(trainer.step, speed)
    trainer.progress.log(
        trainer.step,
        epoch=trainer.timeline.epoch(trainer.step),
        losses={
            task: loss for task in trainer.data.tasks if (loss := losses.get(task)) is not None
        },
        examples_per_second=speed["speed/examples_per_second"],
    )


def log_evaluation(
    tracker: Tracker,
    step: int,
    evaluations: dict[str, Evaluation],
    average: float,
    kinds: dict[str, TaskType],
    *,
    stores: Mapping[str, TaskStore | StoreSubset],
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    """Log the scores, losses and average; and of each data set a plot, curves and mistakes.

    Args:
        stores: the rows of the evaluations.
        tokenizer: decodes the texts of the mistakes.
    """
    scores: dict[str, Any] = {
        f"eval/{dataset}/{metric}": value
        for dataset, evaluation in evaluations.items()
        for metric, value in evaluation.metrics.items()
    }
    scores |= {f"eval/{name}/loss": e.loss for name, e in evaluations.items() if e.loss is not None}
    tracker.scalars(step, scores | {"eval/average": average})
    if not tracker.takes_images:
        return
    for dataset, evaluation in evaluations.items():
        if not evaluation.metrics:  # rows without labels
            continue
        kind, predictions = kinds[evaluation.task.name], evaluation.predictions
        if (figure := _figure(kind, predictions, dataset)) is not None:
            tracker.images(step, {f"{kind.picture}/{dataset}": figure})
        curves = kind.one_against_rest(predictions)
        tracker.precision_recall(
            step, {f"pr/{dataset}/{name}": curve for name, curve in curves.items()}
        )
        listed = mistakes_list(kind, predictions, stores[dataset], tokenizer)
        if listed is not None:
            tracker.texts(step, {f"mistakes/{dataset}": listed})


def _figure(kind: TaskType, predictions: list[Prediction], title: str) -> Figure | None:
    """Plot predictions against labels; None for types without a plot."""
    gold = [prediction.gold for prediction in predictions]
    values = [prediction.value for prediction in predictions]
    if kind.picture == "scatter":
        pearson = METRICS.get("Pearson")(gold, values)
        return scatter_figure(gold, values, title=title, pearson=pearson)
    if kind.picture != "confusion":
        return None
    unit = "examples"
    if isinstance(gold[0], list):  # a label for each word
        gold, values = (list(chain.from_iterable(rows)) for rows in (gold, values))
        unit = "words"
    labels = kind.task.labels or [str(i) for i in range(kind.task.n_class)]
    return confusion_matrix_figure(gold, values, labels, title=title, unit=unit)


def log_cosines(tracker: Tracker, step: int, cosines: Mapping[tuple[str, str], float]) -> None:
    """Log the cosines of the tasks' gradients as a picture, if there are any."""
    if cosines and tracker.takes_images:
        tracker.images(step, {"cosine": cosine_figure(cosines)})


def log_best(tracker: Tracker, step: int, best: dict[str, Any], data: RunData) -> None:
    """Log the scores of the best model so far, the columns of the HPARAMS tab."""
    scores = {"best/average": best["average"]}
    for dataset, metrics in best["scores"].items():
        name = data.tasks[data.dev[dataset].manifest.task].metric_for_best
        scores[f"best/{dataset}/{name}"] = metrics[name]
    tracker.best(step, scores, found_at=best["step"])


def log_final(tracker: Tracker, step: int, final: Mapping[str, Any]) -> None:
    """Log the test scores and losses of the best model.

    Args:
        step: the last update, so that the values are after all others.
        final: the content of scores.json.
    """
    scores: dict[str, Any] = {}
    for dataset in final["test"]:
        own = final["scores"][dataset]
        scores |= {f"test/{dataset}/{metric}": value for metric, value in own.items()}
        if dataset in final["losses"]:
            scores[f"test/{dataset}/loss"] = final["losses"][dataset]
    if scores:
        tracker.scalars(step, scores)
