"""What a run prints about its scores: evaluations, the final table, warnings and advice."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from mt_dnn.config.run import OptimConfig, RunConfig
from mt_dnn.inference.evaluate import Evaluation
from mt_dnn.task_types import Prediction
from mt_dnn.tracking.progress import Progress
from mt_dnn.training.score_report import (
    at_baseline,
    constant_prediction,
    show_evaluation,
    warnings,
)
from tests.support.tasks import make_task


def evaluation(
    values, gold, *, score=50.0, baseline=50.0, loss=None, kind="Classification", **task
) -> Evaluation:
    definition = make_task(kind, **task)
    predictions = [
        Prediction("u", value, None, label) for value, label in zip(values, gold, strict=True)
    ]
    name = definition.metric_for_best
    metrics = {} if gold[0] is None else {name: score}
    return Evaluation(definition, predictions, metrics, {name: baseline} if metrics else {}, loss)


@pytest.mark.parametrize(
    ("values", "gold", "shown"),
    [
        ([3.6, 3.61, 3.59], [1.0, 4.0, 5.0], "3.6"),
        ([3.0, 3.6, 4.0], [1.0, 4.0, 5.0], None),
        ([2.0, 2.0], [2.0, 2.0], None),
        ([1, 1, 1], [0, 1, 1], "1"),
        ([1, 0, 1], [0, 1, 1], None),
        ([1, 1], [1, 1], None),
        ([1, 1], [None, None], None),
        ([[1, 0], [1, 0]], [[0, 1], [1, 0]], None),
        ([[0, 0], [0]], [[0, 1], [0]], "0"),  # words
        (["a", "a"], [["a"], ["b"]], "'a'"),  # texts, and all accepted ones
    ],
)
def test_a_constant_prediction_is_found(values, gold, shown):
    assert constant_prediction(evaluation(values, gold)) == shown


def test_a_constant_prediction_is_shown_as_its_label():
    found = constant_prediction(evaluation([1, 1], [0, 1], labels=("no", "yes"), n_class=2))
    assert found == "'yes'"


@pytest.mark.parametrize(
    ("score", "baseline", "count", "near"),
    [
        (50.0, 50.0, 400, "is not above"),
        (52.4, 50.0, 400, "is within a standard error of"),  # 2.5
        (52.6, 50.0, 400, None),
        (96.0, 95.0, 400, "is within a standard error of"),  # 1.09
        (96.2, 95.0, 400, None),
        (2.4, 0.0, 400, "is within a standard error of"),
        (2.6, 0.0, 400, None),
        (float("nan"), 0.0, 400, None),
    ],
)
def test_a_score_near_the_baseline_is_found(score, baseline, count, near):
    found = at_baseline(evaluation([0] * count, [0] * count, score=score, baseline=baseline))
    assert (found is None) == (near is None)
    if near is not None:
        assert near in str(found)


def test_what_is_better_when_smaller_must_be_below_the_baseline():
    better, equal = (
        evaluation([0], [0], score=score, baseline=10.0, kind="MaskLM") for score in (9.0, 10.0)
    )
    assert at_baseline(better) is None
    assert "not below" in str(at_baseline(equal))


def test_warnings_name_the_data_sets_and_advise_once():
    found = {
        "rte": evaluation([1, 1, 1, 1], [1, 1, 1, 0], score=75.0, baseline=75.0),
        "rte_test": evaluation([1, 0], [1, 1], score=100.0, baseline=0.0),
        "good": evaluation([1, 0], [1, 0], score=100.0, baseline=50.0),
    }
    lines = warnings(found, ["rte_test"], RunConfig())
    assert [line.split(":")[1].strip() for line in lines if line.startswith("warning")] == [
        "rte",
        "rte_test",
    ]
    assert "all predictions are equal (1); ACC 75.00 is not above the baseline 75.00" in lines[0]
    assert "train.epochs, now 3" in lines[1]
    assert "rte (75% of one label)" in lines[2]
    assert "all labels are equal" in lines[3]
    assert warnings({"good": found["good"]}, [], RunConfig()) == []


@pytest.mark.parametrize(
    ("head_lr", "text"), [(None, "not set; such as 0.0005"), (1e-3, "now 0.001")]
)
def test_the_advice_about_heads_is_no_rate_that_is_set(head_lr, text):
    optim = OptimConfig(lr=5e-5, head_lr=head_lr)
    constant = {"task": evaluation([1] * 4, [0, 1, 0, 1])}
    lines = warnings(constant, [], RunConfig(optim=optim))
    assert f"(optim.head_lr, {text})" in "\n".join(lines)


@pytest.mark.parametrize("count", [4, 5])
def test_more_than_four_data_sets_become_a_table(count):
    console = Console(file=io.StringIO(), width=80, color_system=None)
    progress = Progress(10, 1, console=console)
    found = {
        f"task{i}": evaluation([0, 1], [0, 1], score=90.0 + i, loss=0.25) for i in range(count)
    }
    show_evaluation(progress, 5, found, 92.5)
    printed = console.file.getvalue().splitlines()
    if count == 4:
        assert len(printed) == 1
        assert printed[0].startswith("step 5: task0 ACC 90.00 (loss 0.2500)  task1 ACC 91.00")
        assert printed[0].endswith("average 92.50")
    else:
        assert [line.split() for line in printed] == [
            ["step", "5", "metric", "score", "loss"],
            *([f"task{i}", "ACC", f"{90 + i}.00", "0.2500"] for i in range(5)),
            ["average", "92.50"],
        ]
