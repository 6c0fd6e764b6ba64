"""The arrangement of a run's curves in charts."""

from __future__ import annotations

import re

from mt_dnn.tracking.charts import FEW_TASKS, charts

TERMS = ["loss", "smoothness"]


def matching(found: dict[str, dict[str, list[str]]], tag: str) -> list[tuple[str, str]]:
    """The charts that show a tag, as TensorBoard matches it."""
    return [
        (category, title)
        for category, own in found.items()
        for title, tags in own.items()
        if any(re.match(expression, tag) for expression in tags)
    ]


def test_a_chart_shows_one_quantity_of_few_tasks():
    datasets = {f"t{i}": [f"t{i}"] for i in range(FEW_TASKS)}
    found = charts(datasets, ["ACC", "F1", "ACC"], TERMS)
    for task in datasets:
        assert matching(found, f"train/{task}/loss") == [("Loss", "loss")]
        assert matching(found, f"eval/{task}/loss") == [("Loss", "dev loss")]
        assert matching(found, f"eval/{task}/ACC") == [("Dev scores", "ACC")]
        assert matching(found, f"smart/{task}/gain") == [("SMART", "gain")]
        assert matching(found, f"train/{task}/grad_norm") == [("Gradient", "norm of each task")]
    assert matching(found, "train/lr/heads") == [("Rates and speed", "learning rate")]
    assert matching(found, "train/grad_norm") == [("Gradient", "norm")]
    # Runs of other tasks have equal charts, which TensorBoard merges.
    assert charts({"other": ["other"]}, ["ACC", "F1"], TERMS) == found
    found = charts(datasets, ["ACC", "F1", "R2"], TERMS, together=["ACC", "F1"])
    assert matching(found, "eval/t0/F1") == [("Dev scores", n) for n in ("all data sets", "F1")]
    assert matching(found, "eval/t0/R2") == [("Dev scores", "R2")]
    found = charts(datasets, ["ACC", "R2"], TERMS, together=["ACC"])
    assert matching(found, "eval/t0/ACC") == [("Dev scores", "ACC")]


def test_a_chart_shows_one_task_of_many():
    datasets = {f"t{i}": [f"t{i}"] for i in range(FEW_TASKS)} | {"mnli": ["mnli_m", "mnli_mm"]}
    found = charts(datasets | {"unevaluated": []}, ["ACC"], TERMS)
    assert list(found) == ["All tasks", *datasets, "unevaluated"]
    assert matching(found, "train/t1/smoothness") == [("t1", "t1: loss")]
    assert matching(found, "eval/mnli_mm/ACC") == [("mnli", "mnli: dev scores")]
    assert matching(found, "eval/t1/loss") == [("t1", "t1: dev loss")]
    assert matching(found, "eval/average") == [("All tasks", "average dev score")]
    assert "unevaluated: dev scores" not in found["unevaluated"]


def test_cosines_have_a_chart_where_they_are_measured():
    few = {"a": ["a"], "b": ["b"]}
    for datasets in (few, {f"t{i}": [f"t{i}"] for i in range(FEW_TASKS + 1)}):
        for tag, title in (
            ("train/cosine/a/b", "cosine of two tasks"),
            ("train/conflicts", "pairs in conflict"),
        ):
            ((_, found),) = matching(charts(datasets, ["ACC"], TERMS, cosines=True), tag)
            assert found == title
            assert not matching(charts(datasets, ["ACC"], TERMS), tag)


def test_without_smart_there_is_no_chart_of_it():
    assert "SMART" not in charts({"a": ["a"]}, ["ACC"], ["loss"], smart=())
