"""Charts that combine several curves of a run, such as the losses of all tasks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

FEW_TASKS = 6
"""Greatest number of tasks whose curves are readable in one chart."""

Charts = dict[str, dict[str, list[str]]]
"""Category -> title of a chart -> regular expressions of the tags that it shows, matched from the start."""

SMOOTHNESS_FIGURES = ("gain", "rho", "edge", "delta_ratio", "dropped")
"""Figures of R_s that have a chart."""


def charts(
    datasets: Mapping[str, Sequence[str]],
    metrics: Iterable[str],
    terms: Sequence[str],
    *,
    together: Iterable[str] = (),
    smart: Sequence[str] = SMOOTHNESS_FIGURES,
    cosines: bool = False,
) -> Charts:
    """Arrange the curves of a run in charts.

    With up to FEW_TASKS tasks, a chart shows one quantity for all tasks. With more, a chart shows one task,
    and each task is a category. The expressions of few tasks do not depend on the names of the tasks, because
    TensorBoard merges the equal charts of several runs.

    Args:
        datasets: task -> names of its dev sets.
        metrics: names of the metrics that are numbers.
        terms: tags of the loss terms.
        together: those of the metrics that share one more chart, because their scales are alike.
        smart: names of the figures ``smart/<task>/<name>``.
        cosines: whether the tasks' gradients are compared.

    Example:
        >>> charts({"rte": ["rte"]}, ["ACC"], ["loss"], smart=())["Dev scores"]
        {'average': ['eval/average$'], 'ACC': ['eval/[^/]+/ACC$']}
    """
    rates = {
        "learning rate": ["train/lr(/[^/]+)?$"],
        "share of batches": ["train/share/[^/]+$"],
        "padding": ["train/padding$"],
    }
    compared = {"cosine of two tasks": ["train/cosine/"], "pairs in conflict": ["train/conflicts$"]}
    compared = compared if cosines else {}
    speed = {"examples per second": ["speed/examples_per_second$"]}
    if len(datasets) <= FEW_TASKS:
        any_task = "[^/]+"
        scores = {name: [f"eval/{any_task}/{re.escape(name)}$"] for name in dict.fromkeys(metrics)}
        alike = list(map(re.escape, dict.fromkeys(together)))
        if len(alike) > 1:  # one metric has its own chart
            scores = {"all data sets": [f"eval/{any_task}/({'|'.join(alike)})$"]} | scores
        found = {
            "Dev scores": {"average": ["eval/average$"], **scores},
            "Loss": {term: [f"train/{any_task}/{re.escape(term)}$"] for term in terms}
            | {"dev loss": [f"eval/{any_task}/loss$"]},
            "Gradient": {
                "norm": ["train/grad_norm$"],
                "norm of each task": [f"train/{any_task}/grad_norm$"],
                **compared,
            },
            "SMART": {name: [f"smart/{any_task}/{name}$"] for name in smart},
            "Rates and speed": rates | speed,
        }
        return {category: own for category, own in found.items() if own}
    found = {
        "All tasks": {
            "average dev score": ["eval/average$"],
            "gradient norm": ["train/grad_norm$"],
            **compared,
            **rates,
            **speed,
        }
    }
    for task, names in datasets.items():
        own = re.escape(task)
        sets = "|".join(map(re.escape, names))
        found[task] = {
            f"{task}: dev scores": [f"eval/({sets})/(?!loss$)[^/]+$"],
            f"{task}: dev loss": [f"eval/({sets})/loss$"],
            f"{task}: loss": [f"train/{own}/({'|'.join(map(re.escape, terms))})$"],
            f"{task}: gradient norm": [f"train/{own}/grad_norm$"],
            **{f"{task}: {name}": [f"smart/{own}/{name}$"] for name in smart},
        }
        if not names:
            del found[task][f"{task}: dev scores"], found[task][f"{task}: dev loss"]
    return found
