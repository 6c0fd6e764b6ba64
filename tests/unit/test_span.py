"""The span types: loss and divergence over the tokens of a window, no answer, the task file."""

from __future__ import annotations

import math

import pytest
import torch

from data_utils.errors import UserError
from mt_dnn.registries import DIVERGENCES, TASK_TYPES
from tests.support.spans import answer, make_span, peaks, windows

INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize("name", ["Span", "SpanYN"])
@pytest.mark.parametrize("padding", [0.0, 50.0, NAN, INF, -INF])
def test_loss_by_hand_whatever_the_padding_holds(name, padding):
    batch = windows("a b", "a", labels=[[2, 3], [0, 0]])  # 5 tokens, and 4
    logits = torch.zeros(2, 5, 2)
    logits[0, 2, 0] = math.log(4)  # start: 4 of 8; end: 1 of 5
    logits[1, 0, 1] = math.log(2)  # start: 1 of 4; end: 2 of 5, of 4 tokens
    logits[1, 4] = padding
    logits.requires_grad_()
    loss = make_span(name).loss(logits, batch)
    assert loss.item() == pytest.approx(
        (math.log(2) + math.log(5) + math.log(4) + math.log(5 / 2)) / 4
    )
    loss.backward()
    assert torch.allclose(logits.grad[1, :, 0], torch.tensor([-3 / 4, *[1 / 4] * 3, 0.0]) / 4)
    assert not logits.grad[1, 4].any()


def test_loss_in_half_precision_is_float32():
    batch = windows("a b", labels=[[2, 3]])
    assert (
        make_span().loss(torch.zeros(1, 5, 2, dtype=torch.bfloat16), batch).dtype == torch.float32
    )


@pytest.mark.parametrize("padding", [0.0, 50.0, NAN, INF])
def test_divergence_is_the_mean_of_start_and_end_whatever_the_padding_holds(padding):
    generator = torch.Generator().manual_seed(0)
    batch = windows("a b c", "a")
    p, q = (torch.randn(2, 6, 2, generator=generator) for _ in range(2))
    own = [slice(0, 6), slice(0, 4)]
    each = [
        DIVERGENCES.get("symmetric_kl")(p[i, own[i], side], q[i, own[i], side])
        for i in range(2)
        for side in range(2)
    ]
    q[1, 4:] = padding
    p, q = p.requires_grad_(), q.requires_grad_()
    value = make_span().divergence(p, q, batch)
    assert value.item() == pytest.approx((sum(each) / 4).item(), rel=1e-5)
    value.backward()
    assert all(logits.grad.isfinite().all() and logits.grad.any() for logits in (p, q))
    assert not p.grad[1, 4:].any()


@pytest.mark.parametrize("name", [None, *TASK_TYPES.get("Span").divergences()])
def test_equal_logits_have_neither_divergence_nor_gradient(name):
    batch = windows("a b c", "a")
    p = torch.randn(2, 6, 2, generator=torch.Generator().manual_seed(0))
    p[1, 4:] = NAN
    p, q = p.clone().requires_grad_(), p.clone().requires_grad_()
    value = make_span().divergence(p, q, batch, name=name)
    value.backward()
    assert value.item() == 0.0
    assert not p.grad.any()
    assert not q.grad.any()


def test_no_answer_above_the_threshold_and_not_at_it():
    batch = windows("one two three")
    logits = peaks(batch, (0, 1, 4.0), null=6.0)  # 2 more for no answer
    values = {
        threshold: answer(
            make_span("SpanYN", options={"null_threshold": threshold}), logits, batch
        ).value
        for threshold in (-3, 1.5, 2.0, 2.5)
    }
    assert values == {-3: "", 1.5: "", 2.0: "one two", 2.5: "one two"}
    assert answer(make_span("SpanYN"), logits, batch).value == ""
    assert (
        answer(make_span("SpanYN"), peaks(batch, (0, 1, 4.0), null=3.0), batch).value == "one two"
    )
    assert answer(make_span(), logits, batch).value == "one two"  # Span always answers


def test_a_window_without_document():
    batch = windows("")
    logits = torch.ones(1, 3, 2)
    for kind in (make_span(), make_span("SpanYN", options={"null_threshold": 99.0})):
        found = answer(kind, logits, batch)
        assert (found.value, found.scores) == ("", {"score": None, "null": 2.0, "n_best": []})
    both = windows("", "two")
    assert answer(make_span(), torch.ones(2, 4, 2), both).value == "two"


def test_names_of_mt_dnn():
    names = {"SpanClassification": "Span", "SpanClassificationYN": "SpanYN"}
    for alias, name in names.items():
        assert make_span(alias, n_class=2).task.task_type == name
    assert make_span("Span", loss="SpanCeCriterion").task.options == {
        "stride": 128,
        "n_best": 20,
        "max_answer_len": 30,
    }
    yes_no = make_span("SpanYN", loss="SpanYNCeCriterion", options={"null_threshold": -1})
    assert yes_no.task.options["null_threshold"] == -1
    assert make_span().task.n_class == 2


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"labels": ("a", "b")}, "labels: Span answers with texts"),
        ({"n_class": 3}, "n_class: 3; Span has 2"),
        ({"loss": "CeCriterion"}, "loss: 'CeCriterion' does not fit"),
        ({"options": {"n_best": 0}}, "options: n_best: 0; it must be at least 1"),
        ({"options": {"max_answer_len": 0}}, "options: max_answer_len: 0"),
        (
            {"options": {"null_threshold": 1.0}},
            "options: null_threshold: Span on MRC has no such option",
        ),
    ],
)
def test_what_does_not_fit_is_refused(keys, message):
    with pytest.raises(UserError, match=f"^f:1: {message}"):
        make_span(**keys)
