"""Losses, divergences and predictions of every task type, against values worked out by hand."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from data_utils.collator import IGNORE, Batch
from data_utils.errors import UserError
from data_utils.labels import LabelKind, LabelUnit
from data_utils.registries import FORMATS
from mt_dnn.config.run import ModelConfig
from mt_dnn.divergences import Output
from mt_dnn.heads.pooled import PooledHead
from mt_dnn.registries import DIVERGENCES, TASK_TYPES
from mt_dnn.task_types import TaskType
from tests.support.batches import make_batch
from tests.support.encoders import tiny_encoder
from tests.support.tasks import make_kind, make_task
from tests.support.words import Words

ENCODER = tiny_encoder()
H, T = ENCODER.hidden_size, 4
NOT_IN_MT_DNN = ("HNN", "MultiLabel")


HYBRID = {"fill": 5, "blank_at": 1, "candidate_at": 2}
"""Of each candidate of HNN: the one token that it has, and the place of that token."""


def make(task_type: str, **keys: Any) -> TaskType:
    task = make_task(task_type, **keys)
    return make_kind(task_type, Words() if task.label.kind is LabelKind.TEXT else None, **keys)


def some_batch(labels: Any = None, candidates: list[int] | None = None, count: int = 3) -> Batch:
    """With all that any type's ``decode`` reads."""
    examples = count if candidates is None else len(candidates)
    extras = {
        "word_starts": [np.arange(T)] * examples,
        "choice": [list("abc")[:k] for k in candidates or ()],
        "answer": [[]] * examples,
        "passage": ["a bc"] * examples,
        "passage_at": [1] * examples,
        "char_starts": [np.array([0, 2])] * examples,
        "char_ends": [np.array([1, 4])] * examples,
        **{name: [[[at]] * k for k in candidates or ()] for name, at in HYBRID.items()},
        "pronoun_at": [[1] * k for k in candidates or ()],
    }
    sequences = sum(candidates) if candidates else count
    return make_batch([T] * sequences, candidates=candidates, labels=labels, extras=extras)


# What holds for every type.


def some_logits(name: str, seed: int = 0) -> tuple[TaskType, Tensor, Batch]:
    """The type with logits of its own head, in the shape that it states."""
    kind = make(name)
    many = [2, 1, 3] if kind.label.per is LabelUnit.CANDIDATE else None
    # A text under teacher forcing is its own input.
    words = [[5, 6, 7, 1]] * 3 if kind.label.kind is LabelKind.TEXT else None
    batch = some_batch(words, candidates=many)
    if name == "HNN":  # two sequences for each candidate
        twice = some_batch(candidates=[2 * k for k in many or ()])
        batch = dataclasses.replace(twice, extras=batch.extras)
    encoder = ENCODER if words is None else tiny_encoder("t5")
    head = kind.build_head(encoder, ModelConfig(dropout=0.0))
    generator = torch.Generator().manual_seed(seed)
    for parameter in head.parameters():
        parameter.data.normal_(generator=generator)
    hidden = torch.randn(len(batch.input_ids), T, H, generator=generator)
    return kind, head(hidden, batch).detach(), batch


@pytest.mark.parametrize("name", TASK_TYPES.names())
def test_equal_logits_diverge_by_nothing(name):
    kind, logits, batch = some_logits(name)
    for divergence in (None, *kind.divergences()):
        p, q = logits.clone().requires_grad_(), logits.clone().requires_grad_()
        value = kind.divergence(p, q, batch, name=divergence)
        assert value.shape == ()
        assert value.item() == 0.0
        value.backward()
        assert not p.grad.any()
        assert not q.grad.any()


@pytest.mark.parametrize("name", TASK_TYPES.names())
def test_unequal_logits_diverge(name):
    kind, p, batch = some_logits(name)
    q = some_logits(name, seed=1)[1]
    for divergence in kind.divergences():
        assert kind.divergence(p, q, batch, name=divergence).item() > 0


@pytest.mark.parametrize("name", TASK_TYPES.names())
def test_a_divergence_takes_its_form_for_the_type(name):
    """js is bernoulli_js for labels, and the reverse for classes; without a form the type keeps its own."""
    kind, p, batch = some_logits(name)
    q = some_logits(name, seed=1)[1]
    own = kind.divergence(p, q, batch)
    fitting = kind.divergences()
    for divergence in DIVERGENCES.names():
        base = divergence.removeprefix("bernoulli_")
        (form, *_) = [n for n in (divergence, base, f"bernoulli_{base}") if n in fitting] or [None]
        assert kind.form_of_divergence(divergence) == form
        value = kind.divergence(p, q, batch, name=divergence)
        expected = own if form is None else kind.divergence(p, q, batch, name=form)
        assert torch.equal(value, expected)
        assert form is not None or kind.output is Output.NUMBER


def test_js_of_labels_is_an_eighth_of_their_symmetric_kl():
    kind = make("MultiLabel")
    p = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    batch = some_batch(count=5)
    for name in ("js", "JSCriterion", "hellinger", "bernoulli_js"):
        own, value = (kind.divergence(p, p + 1e-4, batch, name=n) for n in (None, name))
        assert value.item() == pytest.approx(own.item() / 8, rel=1e-3), name


def test_an_unknown_divergence_is_an_error():
    with pytest.raises(UserError, match="unknown divergence 'jss'"):
        make("Regression").divergence_name("jss")


def test_a_divergence_of_the_task_file_must_fit():
    for task_type, name in (
        ("Regression", "js"),
        ("MultiLabel", "js"),
        ("Ranking", "bernoulli_js"),
    ):
        with pytest.raises(UserError, match=f"adv_loss: '{name}' does not fit"):
            make(task_type, adv_loss=name)


@pytest.mark.parametrize("name", TASK_TYPES.names())
def test_the_divergence_is_the_sum_over_its_units_divided_by_their_number(name):
    """A change of one unit alone counts 1 / units of what it counts in a batch of that unit."""
    kind, p, batch = some_logits(name)
    q = some_logits(name, seed=1)[1]
    tokens = {"SequenceLabeling": 3 * T, "MaskLM": 3 * T, "SequenceGeneration": 3 * T}
    units = tokens.get(name, len(batch))
    assert kind.units(batch) == units
    one = (0, 0) if name in tokens else (0,)
    moved = p.clone()
    moved[one] = q[one]
    spread = p.clone()
    spread[...] = p[one]
    every = spread.clone()
    every[...] = q[one]
    alone = kind.divergence(moved, p, batch)
    if batch.candidate_mask is None:  # else the examples have unlike candidates
        torch.testing.assert_close(alone * units, kind.divergence(every, spread, batch))
    else:
        present = kind.present(batch)[0]
        moved, p = (kind.ranking(logits, batch) for logits in (moved, p))
        whole = DIVERGENCES.get("symmetric_kl")(moved[0], p[0], mask=present)
        torch.testing.assert_close(alone * units, whole)


def test_units_are_labelled_words():
    kind = make("SequenceLabeling")
    labels = torch.tensor([[1, 0, IGNORE, 2], [0, IGNORE, IGNORE, IGNORE], [1, 1, 1, 1]])
    batch = some_batch(labels)
    assert kind.units(batch) == 8
    p, q = (torch.randn(3, T, 3, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    each = DIVERGENCES.get("symmetric_kl")(p, q)[labels != IGNORE]
    torch.testing.assert_close(kind.divergence(p, q, batch) * kind.units(batch), each.sum())
    assert kind.units(some_batch(torch.full((3, T), IGNORE))) == 0


@pytest.mark.parametrize("name", TASK_TYPES.names())
def test_half_precision_logits_give_a_float32_divergence(name):
    kind, p, batch = some_logits(name)
    assert kind.divergence(p.bfloat16(), p.bfloat16(), batch).dtype == torch.float32


@pytest.mark.parametrize("name", TASK_TYPES.names())
def test_unlabelled_examples_are_decoded_without_gold(name):
    kind, logits, batch = some_logits(name)
    predictions = kind.decode(logits, batch)
    assert [p.uid for p in predictions] == batch.uids
    assert [p.gold for p in predictions] == [None] * len(batch)


@pytest.mark.parametrize("name", TASK_TYPES.names())
def test_every_type_has_a_format_and_names_its_divergences(name):
    kind = TASK_TYPES.get(name)
    assert any(kind.label in FORMATS.get(f).labels for f in FORMATS.names())
    assert kind.losses or name in NOT_IN_MT_DNN
    assert kind.divergences()
    assert all(DIVERGENCES.canonical(d) == d for d in kind.divergences())


def test_the_tasks_own_divergence():
    p, q = torch.tensor([[0.0, 1.0, 2.0]]), torch.tensor([[1.0, 0.0, 0.0]])
    batch = some_batch(count=1)
    kind = make("Classification", adv_loss="JSCriterion")
    assert kind.task.adv_loss == "js"
    js, kl = (DIVERGENCES.get(name)(p, q).mean() for name in ("js", "kl"))
    assert torch.equal(kind.divergence(p, q, batch), js)
    assert torch.equal(kind.divergence(p, q, batch, name="kl"), kl)


def test_divergences_are_means_over_examples():
    for name in ("Classification", "Ranking", "Regression"):
        kind, p, batch = some_logits(name)
        q = some_logits(name, seed=1)[1]
        function = DIVERGENCES.get(kind.divergences()[0])
        each = function(p, q, mask=batch.candidate_mask)
        assert each.shape == (3,)
        assert torch.allclose(kind.divergence(p, q, batch), each.sum() / 3)


# Classification.


def test_classification_loss_by_hand():
    kind = make("Classification")
    logits = torch.tensor([[0.0, 0.0, 0.0], [math.log(2), 0.0, 0.0]])
    loss = kind.loss(logits, some_batch([1, 0]))
    assert loss.item() == pytest.approx((math.log(3) + math.log(2)) / 2)


def test_classification_decodes_the_likeliest_class():
    kind = make("Classification")
    logits = torch.tensor([[0.0, math.log(2), 0.0], [5.0, 0.0, 0.0]])
    first, second = kind.decode(logits, some_batch([1, 2], count=2))
    assert (first.uid, first.value, first.gold) == ("u0", 1, 1)
    assert first.scores == pytest.approx([0.25, 0.5, 0.25])
    assert (second.value, second.gold) == (0, 2)


# Regression.


def test_squared_error_by_hand_and_of_identical_predictions():
    kind = make("Regression")
    logits = torch.tensor([[1.0], [2.0], [4.0]])
    assert kind.loss(logits, some_batch([1.0, 2.0, 4.0])).item() == 0.0
    # (B,) broadcast against (B, 1) would give 2 * variance here, and not 0.
    assert kind.loss(logits, some_batch([0.0, 2.0, 1.0])).item() == pytest.approx((1 + 9) / 3)
    assert kind.loss(logits.half(), some_batch([0.0, 2.0, 1.0])).dtype == torch.float32


@pytest.mark.parametrize("shape", [(3,), (3, 2), (3, 3), (1, 3)])
def test_regression_never_broadcasts(shape):
    kind = make("Regression")
    batch = some_batch([1.0, 2.0, 4.0])
    with pytest.raises(ValueError, match="same shape"):
        kind.loss(torch.zeros(shape), batch)
    with pytest.raises(ValueError, match="same shape"):
        kind.divergence(torch.zeros(shape), torch.zeros(3, 1), batch)


def test_a_regression_prediction_is_the_number_itself():
    kind = make("Regression")
    predictions = kind.decode(torch.tensor([[3.5], [-1.0], [0.25]]), some_batch([3.0, 0.0, 0.5]))
    assert [p.value for p in predictions] == [3.5, -1.0, 0.25]  # an arg max would be 0 always
    assert [p.scores for p in predictions] == [3.5, -1.0, 0.25]
    assert [p.gold for p in predictions] == [3.0, 0.0, 0.5]


# Heads.


def test_the_head_has_the_size_of_the_output():
    for name, n_out in (("Classification", 5), ("Regression", 1), ("Ranking", 1)):
        keys = {"n_class": n_out}
        head = make(name, **keys).build_head(ENCODER, ModelConfig())
        head = getattr(head, "scorer", head)
        assert isinstance(head, PooledHead)
        assert head.output.out_features == n_out
    two = make("Ranking", labels=("no", "yes"), n_class=2).build_head(ENCODER, ModelConfig())
    assert two.scorer.output.out_features == 1
