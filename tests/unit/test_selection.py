"""Which data sets select the best model, and which rows of them are evaluated during training."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mt_dnn.inference.evaluate import Evaluation
from mt_dnn.runs.eval_rows import limited
from mt_dnn.runs.prepare import RunData, prepare
from mt_dnn.training.best import BestModel, selecting
from mt_dnn.training.task_best import TaskBest
from tests.support.tasks import make_task


@pytest.fixture(scope="module")
def data(workspace, encoder_folder, tmp_path_factory) -> RunData:
    from tests.support.workspace import run_config

    return prepare(run_config(workspace, encoder_folder, tmp_path_factory.mktemp("runs")))


def with_settings(data: RunData, *, untrained: str = "", weightless: str = "", **train) -> RunData:
    config = dataclasses.replace(data.config, train=dataclasses.replace(data.config.train, **train))
    kept = {name: store for name, store in data.train.items() if name != untrained}
    tasks = {
        name: dataclasses.replace(task, weight=0.0 if name == weightless else 1.0)
        for name, task in data.tasks.items()
    }
    return dataclasses.replace(data, config=config, train=kept, tasks=tasks)


def test_the_dev_sets_of_trained_tasks_select(data):
    assert selecting(data) == ("pair", "score", "pick")
    assert selecting(with_settings(data, untrained="score")) == ("pair", "pick")
    assert selecting(with_settings(data, weightless="pair")) == ("score", "pick")


def test_without_any_all_dev_sets_select(data):
    assert selecting(dataclasses.replace(data, train={})) == ("pair", "score", "pick")


def test_named_sets_select_in_the_order_of_the_tasks(data):
    assert selecting(with_settings(data, select_on=("pick", "pair"))) == ("pair", "pick")


def scored(task: str, score: float) -> Evaluation:
    return Evaluation(make_task(name=task), [], {"ACC": score}, {})


def test_a_set_that_does_not_select_is_recorded_and_not_averaged(data):
    best = BestModel(None, with_settings(data, select_on=("pair",)))
    found = {"pair": scored("pair", 50.0), "pick": scored("pick", 90.0)}
    average = best.average(found)
    assert average == 50.0
    assert best.offer(3, found, average)
    assert best.record is not None
    assert best.record["scores"].keys() == {"pair", "pick"}


def test_the_average_of_an_old_checkpoint_is_that_of_the_sets_that_select(data):
    old = {
        "step": 3,
        "average": 70.0,
        "scores": {"pair": {"ACC": 50.0}, "pick": {"ACC": 90.0}},
        "baselines": {},
    }
    best = BestModel(None, with_settings(data, select_on=("pair",)))
    best.restore(old, 2)
    assert best.record == old | {"average": 50.0}
    assert best.evaluations_since == 2
    best.restore(None, 0)
    assert best.record is None


def test_each_task_has_its_own_best():
    best = TaskBest()
    first = {"a": scored("a", 50.0), "a_x": scored("a", 60.0), "b": scored("b", 10.0)}
    assert best.offer(1, first) == ["a", "b"]
    second = {"a": scored("a", 40.0), "a_x": scored("a", 69.0), "b": scored("b", 20.0)}
    assert best.offer(2, second) == ["b"]
    assert best.steps() == {"a": 1, "b": 2}


def test_limited_rows_depend_on_the_seed_only(data):
    def uids(seed: int, limit: int | None) -> list[str]:
        store = limited(data.dev, limit, seed)["pair"]
        return store.take(range(len(store)))["uid"]

    assert len(uids(1, 5)) == 5
    assert uids(1, 5) == uids(1, 5)
    assert uids(1, 5) != uids(2, 5)
    assert uids(1, 5) == sorted(uids(1, 5)), "in the order of the rows"
    for limit in (None, 8):
        assert limited(data.dev, limit, 1)["pair"] is data.dev["pair"]


def test_all_windows_of_a_limited_row_are_taken(data):
    class Windows:
        def __init__(self) -> None:
            self.windows = np.array([0, 1, 2, 0, 0, 1])
            self.lengths, self.labels, self.manifest = self.windows, None, None

        def __len__(self) -> int:
            return len(self.windows)

    store = limited({"find": Windows()}, 2, seed=0)["find"]
    assert store.windows is not None
    kept = store.windows.tolist()
    assert kept.count(0) == 2
    assert kept in ([0, 1, 2, 0], [0, 1, 2, 0, 1], [0, 0, 1])
