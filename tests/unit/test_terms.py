"""Loss terms of one's own: order, weights, state, learnt parameters, figures."""

from __future__ import annotations

import inspect
import math
import textwrap
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from data_utils.errors import UserError
from mt_dnn.config.run import OptimConfig, RunConfig
from mt_dnn.config.smart import SmoothnessConfig
from mt_dnn.objective.objective import Objective, build_terms
from mt_dnn.objective.smart import ProximalTerm
from mt_dnn.objective.step import Step
from mt_dnn.objective.supervised import SupervisedTerm
from mt_dnn.objective.terms import LossTerm
from mt_dnn.training.checkpoint import load_checkpoint, save_checkpoint
from mt_dnn.training.optim import build_optimizer, parameter_groups
from tests.support.three_tasks import KINDS, make_model, move, task_batch


class Size(LossTerm):
    """The mean square of the logits; counts its work."""

    tag = "size"

    def __init__(self, tag: str = "size") -> None:
        super().__init__()
        self.tag = tag
        self.computed = 0

    def compute(self, step: Step) -> Tensor:
        self.computed += 1
        step.note("largest", step.logits.abs().max())
        return step.logits.square().mean()


class Absent(Size):
    """No value for the regression task."""

    def compute(self, step: Step) -> Tensor | None:
        return None if step.batch.task == "r" else super().compute(step)


class Rising(Size):
    def weight(self, step: Step) -> float:
        return 2 * step.progress


class Learnt(Size):
    """Weighted by exp(-s) with a learnt s, plus s: Kendall et al. 2018, arXiv 1705.07115."""

    def __init__(self) -> None:
        super().__init__("learnt")
        self.s = nn.Parameter(torch.tensor(0.5))
        self.register_buffer("mean", torch.zeros(2))

    def compute(self, step: Step) -> Tensor:
        value = super().compute(step)
        return value + self.s * self.s.exp()

    def weight(self, step: Step) -> Tensor:
        return (-self.s).exp()

    def after_update(self, update: int, total: int) -> None:
        self.mean += update / total


class NewMasks(LossTerm):
    """R-Drop's second pass."""

    tag = "masks"

    def compute(self, step: Step) -> Tensor:
        return step.divergence(step.forward(step.embeds, dropout="independent"), step.logits)


def objective(*terms: LossTerm, dropout: bool = False, **options: Any) -> Objective:
    return Objective(make_model(dropout=dropout, **options), [SupervisedTerm(), *terms])


@pytest.mark.parametrize("task", KINDS)
def test_terms_are_added_in_their_order_with_their_weights(task):
    whole = objective(Size("a").weighted(0.3), Size("b").weighted(-0.1, {task: 7.0}), weight=2.0)
    found = whole(task_batch(task), seed=1)
    assert list(found.values) == ["loss", "a", "b"]
    loss, a, b = found.values.values()
    assert torch.equal(a, b)
    assert torch.equal(found.total, 2.0 * (loss + 0.3 * a + 7.0 * b))
    other = next(name for name in KINDS if name != task)
    found = whole(task_batch(other), seed=1)
    loss, a, b = found.values.values()
    assert torch.equal(found.total, 2.0 * (loss + 0.3 * a + -0.1 * b))


def test_a_term_that_is_added_leaves_the_others_as_they_are():
    """Also R_s with independent dropout, which draws new masks in every pass."""
    config = RunConfig(smart="smart", smoothness=SmoothnessConfig(dropout="independent"))
    model = make_model(dropout=True)
    plain = Objective.from_config(model, config)(task_batch("c"), seed=1)
    more = Objective(model, [*build_terms(model, config), Size(), NewMasks()])
    found = more(task_batch("c"), seed=1)
    for tag, value in plain.values.items():
        assert torch.equal(value, found.values[tag]), tag
    assert list(found.values) == [*plain.values, "size", "masks"]


@pytest.mark.parametrize("tasks", [{}, {"c": 0.0}])
def test_a_weight_of_zero_does_no_work(tasks):
    term = Size().weighted(0.0 if not tasks else 1.0, tasks)
    whole = objective(term)
    found = whole(task_batch("c"), seed=1)
    assert term.computed == 0
    assert torch.equal(found.total, objective()(task_batch("c"), seed=1).total)
    assert found.named("c").keys() == {"train/c/loss"}
    whole(task_batch("r"), seed=1)
    assert term.computed == len(tasks)


def test_a_term_without_a_value_is_left_out():
    whole = objective(Absent())
    assert whole(task_batch("c"), seed=1).values.keys() == {"loss", "size"}
    found = whole(task_batch("r"), seed=1)
    assert found.values.keys() == {"loss"}
    assert torch.equal(found.total, found.values["loss"])
    with pytest.raises(RuntimeError, match="no loss term has a value for this batch of task r"):
        Objective(whole.model, [Absent()])(task_batch("r"), seed=1)


def test_a_weight_may_follow_the_run():
    term = Rising()
    whole = objective(term)
    whole(task_batch("c"), seed=1)
    assert term.computed == 0  # its weight is 0 at the start
    loss, size = (found := whole(task_batch("c"), seed=1, progress=0.25)).values.values()
    assert torch.equal(found.total, loss + 0.5 * size)


def test_figures_have_the_terms_group_and_no_graph():
    term = Size()
    found = objective(term)(task_batch("k"), seed=1)
    assert found.named("k").keys() == {"train/k/loss", "train/k/size", "size/k/largest"}
    assert not found.figures["size/k/largest"].requires_grad
    term.group = "logits"
    assert "logits/k/largest" in objective(term)(task_batch("k"), seed=1).named("k")


def test_scalars_of_the_objective_are_those_of_its_terms(monkeypatch):
    term = Size()
    monkeypatch.setattr(term, "figures", lambda: {"size/runs": torch.ones(())})
    model = make_model(dropout=False)
    whole = Objective(model, [SupervisedTerm(), ProximalTerm(model), term])
    assert whole.figures().keys() == {"smart/distance", "size/runs"}


def updated(config: OptimConfig, whole: Objective, steps: int) -> torch.optim.Optimizer:
    """Train for a few updates; the optimizer."""
    optimizer = build_optimizer(whole, RunConfig(optim=config))
    train(whole, optimizer, steps)
    return optimizer


def train(whole: Objective, optimizer: torch.optim.Optimizer, steps: int) -> None:
    for step in range(1, steps + 1):
        whole(task_batch("c"), seed=step).total.backward()
        optimizer.step()
        optimizer.zero_grad()
        whole.after_update(step, 10)


def test_a_learnt_weight_follows_its_gradient():
    term = Learnt()
    whole = objective(term)
    found = whole(task_batch("c"), seed=1)
    found.total.backward()
    size = task_size(whole)
    # d/ds of exp(-s) (v + s exp(s)) = 1 - v exp(-s)
    torch.testing.assert_close(term.s.grad, 1 - size * (-term.s.detach()).exp())
    whole.zero_grad()
    updated(OptimConfig(lr=1e-3, head_lr=0.1), whole, 1)
    assert term.s.item() == pytest.approx(0.4, abs=1e-4)  # Adam's first step has length head_lr


def task_size(whole: Objective) -> Tensor:
    return whole.model(task_batch("c")).detach().square().mean()


def test_a_learnt_weight_is_saved_and_restored(tmp_path):
    config = OptimConfig(lr=1e-3, head_lr=0.1)

    def new() -> Objective:
        model = make_model(dropout=False)
        return Objective(model, [SupervisedTerm(), ProximalTerm(model), Learnt()])

    one = new()
    optimizer = updated(config, one, 3)
    folder = save_checkpoint(
        tmp_path,
        step=3,
        model=one.model,
        optimizer=optimizer,
        state={},
        terms=one.terms_state(),
        keep=1,
    )
    other = new()
    again = updated(config, other, 1)
    _, state = load_checkpoint(folder, model=other.model, optimizer=again)
    assert {"learnt.s", "learnt.mean"} < state.keys()
    other.load_terms_state(state)
    train(one, optimizer, 2)
    train(other, again, 2)
    assert one.terms_state().keys() == other.terms_state().keys()
    for tensors in (Objective.state_dict, Objective.terms_state):
        for (name, mine), theirs in zip(tensors(one).items(), tensors(other).values(), strict=True):
            assert torch.equal(mine, theirs), name
    assert one.terms_state()["learnt.s"] != 0.5


def test_state_of_a_term_that_is_absent_or_new_is_left_alone():
    one = objective(Learnt())
    updated(OptimConfig(lr=0.1), one, 1)
    objective().load_terms_state(one.terms_state())
    new = objective(Learnt())
    new.load_terms_state({})
    assert new.terms_state()["learnt.s"] == 0.5
    with pytest.raises(UserError, match=r"(?s)loss term learnt; .*\"mean\""):
        new.load_terms_state({"learnt.s": torch.zeros(())})


def test_parameters_of_terms_are_grouped_like_those_of_heads_and_come_last():
    whole = objective(Learnt())
    config = OptimConfig(lr=1e-3, head_lr=1e-2, layer_decay=0.5)

    def grouped(terms: nn.Module | None) -> dict[tuple[float, float], list[str]]:
        groups = parameter_groups(whole.model, config, terms=terms)
        return {
            (group["lr"], group["weight_decay"]): [name for name, _ in group["params"]]
            for group in groups
        }

    plain = grouped(None)
    assert list(grouped(objective().terms).items()) == list(plain.items())
    plain[1e-2, 0.0].append("terms.1.s")  # the heads' biases
    assert list(grouped(whole.terms).items()) == list(plain.items())


class Keeps(Size):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ([], "needs at least one loss term"),
        ([Size(), Size()], "2 loss terms have the tag 'size'; give each its own, by the key tag"),
        ([Size("a.b")], "loss term 'a.b': use letters, digits"),
        ([Size().weighted(1, {"d": 2})], r"loss term size: weight of an unknown task 'd'\..*c"),
    ],
)
def test_terms_that_do_not_fit_are_refused(terms, message):
    with pytest.raises(UserError, match=message):
        Objective(make_model(dropout=False), terms)


def test_a_term_that_keeps_the_model_is_refused():
    model = make_model(dropout=False)
    with pytest.raises(UserError, match=r"'size' contains the model .* use step\.model"):
        Objective(model, [SupervisedTerm(), Keeps(model)])


@pytest.mark.parametrize("weights", [(math.nan, None), (1.0, {"c": math.inf})])
def test_a_weight_that_is_not_finite_is_refused(weights):
    with pytest.raises(UserError, match=r"loss term size: (weight|c): (nan|inf); use a finite"):
        Size().weighted(*weights)


def test_the_example_of_the_docstring_computes_l2_sp():
    source = inspect.getdoc(LossTerm)
    example = textwrap.dedent(source.partition("section 3)::\n")[2])
    model = make_model(dropout=False)
    names: dict[str, Any] = {"LossTerm": LossTerm, "torch": torch}
    names |= {"model": model, "config": RunConfig(smart="smart"), "Objective": Objective}
    exec(example, names | {"build_terms": build_terms}, names)
    whole = names["objective"]
    before = [p.detach().clone() for p in model.encoder.parameters()]
    assert whole(task_batch("c"), seed=1).values["l2_sp"] == 0
    move(model)
    moved = sum(
        (p - start).square().sum() / 2
        for p, start in zip(model.encoder.parameters(), before, strict=True)
    )
    found = whole(task_batch("c"), seed=1)
    torch.testing.assert_close(found.values["l2_sp"], moved)
    terms = found.values
    expected = terms["loss"] + terms["smoothness"] + terms["proximal"] + 0.01 * terms["l2_sp"]
    torch.testing.assert_close(found.total, expected)
