"""Settings that name tasks or data sets are checked against those of the run."""

from __future__ import annotations

import pytest

from data_utils.errors import UserError
from mt_dnn.config.run import MixingConfig, RunConfig, TermConfig, TrainConfig
from mt_dnn.runs.task_settings import check_task_settings
from tests.support.tasks import make_task

TASKS = {name: make_task(name=name) for name in ("pair", "pick")}


def check(tasks=TASKS, **settings) -> None:
    check_task_settings(RunConfig(**settings), tasks, dev=["pair", "pick"], test=["pair_test"])


def rates(**values: float) -> MixingConfig:
    return MixingConfig(name="rates", options={"rates": values})


def test_names_of_the_run_are_taken():
    check(
        mixing=rates(pair=2, pick=0.5),
        terms=[TermConfig("x", weights={"pick": 0.5})],
        train=TrainConfig(select_on=("pick",)),
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mixing": rates(pik=2)}, r"mixing\.options\.rates: pik: no such task is trained\. Did .*pick"),
        ({"terms": [TermConfig("x", weights={"pik": 2})]}, r"terms: x: weights: .*'pik'.*Did .*pick"),
        ({"train": TrainConfig(select_on=("pik",))}, r"train\.select_on: .*'pik'.* Did .*pick"),
        (
            {"train": TrainConfig(select_on=("pair_test",))},
            "pair_test is a test set.*Name dev sets: pair, pick",
        ),
    ],
)  # fmt: skip
def test_other_names_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        check(**settings)


def test_a_term_that_is_off_may_name_any_task():
    check(terms=[TermConfig("x", weight=0.0, weights={"other": 0.0})])


def test_a_task_that_is_evaluated_only_needs_a_trained_head():
    only_dev = make_task(name="other", split_names=("dev",), where="tasks.yml:7")
    with pytest.raises(UserError, match=r"tasks\.yml:7: has no train split and shares no head"):
        check(TASKS | {"other": only_dev})
    check(TASKS | {"other": make_task(name="other", split_names=("dev",), head="pair")})


def test_a_strategy_may_name_only_tasks_that_are_trained():
    only_dev = make_task(name="other", split_names=("dev",), head="pair")
    with pytest.raises(UserError, match="other: no such task is trained"):
        check(TASKS | {"other": only_dev}, mixing=rates(other=2))
