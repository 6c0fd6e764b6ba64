"""Mistakes in a plugin: each is one message that names what the plugin did."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import nn

from data_utils.errors import UserError
from data_utils.mixing import Supply, mix
from data_utils.plugins import import_plugins
from data_utils.registries import FORMATS, METRICS, MIXINGS
from data_utils.task_def import TaskDef
from mt_dnn.config.bounds import resolve_config
from mt_dnn.config.run import BatchConfig, MixingConfig, OptimConfig, RunConfig, TermConfig
from mt_dnn.objective.objective import Objective, build_terms
from mt_dnn.objective.supervised import SupervisedTerm
from mt_dnn.objective.terms import LossTerm
from mt_dnn.registries import (
    COMBINATIONS,
    DIVERGENCES,
    LOSS_TERMS,
    OPTIMIZERS,
    SCHEDULES,
    TASK_TYPES,
)
from mt_dnn.task_types import checked
from mt_dnn.training.gradients import TaskGradients
from mt_dnn.training.optim import build_optimizer
from mt_dnn.training.schedule import learning_rate_factor
from tests.support.three_tasks import make_model, task_batch

pytestmark = pytest.mark.usefixtures("registries")


# Loss terms.


class Minimal(LossTerm):
    tag = "minimal"

    def compute(self, step):
        return step.logits.square().mean()


def test_a_term_of_tag_and_compute_alone_is_built_from_the_configuration():
    LOSS_TERMS.register("minimal")(Minimal)
    model = make_model(dropout=False)
    terms = [TermConfig("minimal", weight=0.5), TermConfig("minimal", tag="again")]
    objective = Objective(model, build_terms(model, RunConfig(terms=terms)))
    values = objective(task_batch("c"), seed=1).values
    assert values.keys() == {"loss", "minimal", "again"}
    assert torch.equal(values["minimal"], values["again"])
    assert (
        build_terms(model, RunConfig(terms=terms))[1].weight(
            cast(Any, SimpleNamespace(batch=task_batch("c")))
        )
        == 0.5
    )


def test_the_same_tag_twice_names_the_key_that_tells_them_apart():
    LOSS_TERMS.register("minimal")(Minimal)
    model = make_model(dropout=False)
    terms = [TermConfig("minimal"), TermConfig("minimal")]
    with pytest.raises(UserError, match="by the key tag of its entry"):
        Objective(model, build_terms(model, RunConfig(terms=terms)))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (lambda step: step.logits.mean(0), r"a tensor of shape \(3,\)"),
        (lambda step: 0.5, "a float"),
    ],
)
def test_a_term_returns_a_scalar(value: Callable, shown):
    term = type("Wrong", (LossTerm,), {"tag": "wrong", "compute": lambda self, step: value(step)})()
    objective = Objective(make_model(dropout=False), [SupervisedTerm(), term])
    message = rf"compute of the loss term 'wrong' .* returned {shown}; return a scalar"
    with pytest.raises(UserError, match=message):
        objective(task_batch("c"), seed=1)


def test_a_note_may_be_a_number():
    def compute(self, step):
        step.note("half", 0.5)

    term = type("Half", (LossTerm,), {"tag": "half", "compute": compute})()
    objective = Objective(make_model(dropout=False), [SupervisedTerm(), term])
    assert objective(task_batch("c"), seed=1).figures["half/c/half"].item() == 0.5


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (type("No", (LossTerm,), {"tag": "no"}), "No does not define compute"),
        (type("No", (LossTerm,), {"compute": lambda *_: None}), "No does not define tag"),
        (type("No", (), {}), "No does not derive from LossTerm"),
    ],
)
def test_an_incomplete_term_is_not_registered(entry, message):
    with pytest.raises(TypeError, match=f"loss term 'no': {message}"):
        LOSS_TERMS.register("no")(entry)


# What a function returns.


def built_by(build: Callable) -> torch.optim.Optimizer:
    OPTIMIZERS.register("mine")(build)
    objective = Objective(make_model(dropout=False), [SupervisedTerm()])
    return build_optimizer(objective, RunConfig(optim=OptimConfig(name="mine")))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda groups, config: torch.optim.SGD(groups[:1], lr=1.0), "leaves out .* such as "),
        (lambda groups, config: None, "must return a torch Optimizer"),
        (
            lambda groups, config: torch.optim.SGD(
                [p for group in groups for _, p in group["params"]], lr=1.0
            ),
            "a parameter group has no peak_lr",
        ),
    ],
)
def test_an_optimizer_has_every_group(build, message):
    with pytest.raises(UserError, match=f"optim.name: mine.*{message}"):
        built_by(build)


def test_an_optimizer_of_all_groups_is_accepted():
    assert len(built_by(lambda groups, config: torch.optim.SGD(groups, lr=1.0)).param_groups) == 2


def test_a_schedule_returns_a_number():
    SCHEDULES.register("mine")(lambda progress: None)
    with pytest.raises(
        UserError, match=r"optim.schedule: mine returned None at progress .*; it must be a number"
    ):
        learning_rate_factor(5, 10, OptimConfig(schedule="mine"))


@pytest.mark.parametrize("factor", [float("nan"), float("inf"), -0.1])
def test_a_schedule_returns_a_factor(factor):
    SCHEDULES.register("mine")(lambda progress: factor)
    message = rf"optim.schedule: mine returned {factor} at progress 0.5; it must be a number of at least 0"
    with pytest.raises(UserError, match=message):
        learning_rate_factor(5, 10, OptimConfig(schedule="mine", warmup=0))


@pytest.mark.parametrize("value", ["high", None, [1.0], True])
def test_a_metric_returns_a_number(value):
    METRICS.register("mine")(lambda results: value)
    with pytest.raises(
        UserError, match=r"metric mine returned .*, and not a number; .*is_number=False"
    ):
        METRICS.get("mine")([1], [1])


def test_a_metric_that_is_not_a_number_for_the_data_is_undefined():
    METRICS.register("mine")(lambda results: float("nan"))
    with pytest.warns(UserWarning, match="mine of these predictions is undefined; reported as 0"):
        assert METRICS.get("mine")([1], [1]) == 0.0


def test_a_plugin_that_exits_does_not_end_the_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "leaving.py").write_text("import sys\n\nsys.exit(0)\n")
    with pytest.raises(
        UserError, match=r"importing leaving failed at .*leaving.py:3: SystemExit: 0"
    ):
        import_plugins(["leaving"], "--plugins")


def test_a_combination_returns_one_gradient():
    shared = nn.Parameter(torch.ones(3))
    collected = TaskGradients([shared], lambda gradients: gradients.values)
    shared.sum().backward()
    collected.take("a")
    with pytest.raises(UserError, match=r"shape \(1, 3\); return one gradient of shape \(3,\)"):
        collected.put(0)


def test_a_combination_needs_several_batches_in_an_update():
    COMBINATIONS.register("mine")(lambda gradients: gradients.values.mean(0))
    config = RunConfig(optim=OptimConfig(combine="mine"))
    with pytest.raises(UserError, match=r"set batch.accumulate above 1"):
        resolve_config(config)
    resolve_config(RunConfig(optim=OptimConfig(combine="mine"), batch=BatchConfig(accumulate=2)))


@pytest.mark.parametrize("counts", [{}, {"a": 0, "b": 0}, {"a": -1, "b": 3}, {"a": 1}])
def test_a_mixing_returns_batches_of_every_task(counts):
    MIXINGS.register("mine")(lambda supply: counts)
    supply = Supply(
        batches={"a": 2, "b": 3},
        examples={"a": 20, "b": 30},
        epoch=0,
        epochs=1,
        settings=MixingConfig(name="mine"),
        rng=np.random.default_rng(0),
    )
    with pytest.raises(UserError, match=r"mixing.name: mine returned .* for each of a, b"):
        mix(supply)


def test_a_divergence_returns_one_value_per_distribution():
    with pytest.raises(TypeError, match=r"divergence 'mine': for logits \(2, 3\) it returned \(\)"):
        DIVERGENCES.register("mine")(lambda p, q, *, dim=-1, mask=None: (p - q).sum())


# Formats and types.


@pytest.mark.parametrize(
    ("data_format", "task_type", "message"),
    [
        (
            "PremiseAndOneHypothesis",
            "Ordered",
            "rows hold no candidates, and Ordered needs candidates",
        ),
        (
            "Listed",
            "Classification",
            "rows hold candidates, and Classification needs no candidates",
        ),
    ],
)
def test_candidates_of_format_and_type_agree(data_format, task_type, message):
    from data_utils.formats.premise_and_multi_hypothesis import PremiseAndMultiHypothesis
    from data_utils.labels import CLASS_PER_EXAMPLE
    from mt_dnn.task_types.ranking import Ranking

    FORMATS.register("Listed")(
        type("Listed", (PremiseAndMultiHypothesis,), {"labels": (CLASS_PER_EXAMPLE,)})
    )
    TASK_TYPES.register("Ordered")(type("Ordered", (Ranking,), {"label": CLASS_PER_EXAMPLE}))
    with pytest.raises(UserError, match=message):
        checked(TaskDef("t", data_format, task_type, 2, metrics=("ACC",), metric_for_best="ACC"))


# Runs from a script.


def test_a_module_that_registers_is_recorded_without_being_named():
    MIXINGS.register("mine")(Minimal)  # any class of this module
    assert resolve_config(RunConfig()).plugins == (__name__,)
    package = __name__.partition(".")[0]
    assert resolve_config(RunConfig(plugins=(package,))).plugins == (package,)


def test_a_section_of_the_wrong_type_is_named():
    with pytest.raises(UserError, match=r"train: expected a TrainConfig, got {'epochs': 1}"):
        resolve_config(RunConfig(train=cast(Any, {"epochs": 1})))


def test_the_package_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "mt_dnn", "--help"], capture_output=True, text=True, check=True
    )
    assert "usage: mt-dnn COMMAND" in done.stdout
