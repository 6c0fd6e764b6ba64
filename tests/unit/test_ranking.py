"""Ranking: its loss, divergence and predictions against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from data_utils.collator import IGNORE, Batch
from data_utils.errors import UserError
from tests.support.batches import make_batch
from tests.support.tasks import make_kind

CANDIDATES = [2, 3, 1]
LABELS = [[0, 1, IGNORE], [1, 0, 0], [1, IGNORE, IGNORE]]


def batch_of(labels: list, candidates: list[int] = CANDIDATES) -> Batch:
    return make_batch([4] * sum(candidates), candidates=candidates, labels=labels)


def ranking_logits(absent: float = 0.0) -> Tensor:
    values = [[0.0, math.log(3), absent], [math.log(2), 0.0, 0.0], [7.0, absent, absent]]
    return torch.tensor(values, requires_grad=True)


@pytest.mark.parametrize("absent", [0.0, 50.0, float("nan"), float("inf")])
def test_listwise_softmax_by_hand_whatever_absent_cells_hold(absent):
    kind = make_kind("Ranking")
    logits = ranking_logits(absent)
    loss = kind.loss(logits, batch_of(LABELS))
    assert loss.item() == pytest.approx((math.log(4 / 3) + math.log(2) + 0.0) / 3)
    loss.backward()
    expected = [[1 / 4, -1 / 4, 0.0], [-1 / 2, 1 / 4, 1 / 4], [0.0, 0.0, 0.0]]  # p - target
    assert torch.allclose(logits.grad, torch.tensor(expected) / 3)


def test_an_example_without_relevant_candidate_carries_no_loss():
    kind = make_kind("Ranking")
    labels = [[0, 1, IGNORE], [0, 0, 0], [0, IGNORE, IGNORE]]
    logits = ranking_logits()
    loss = kind.loss(logits, batch_of(labels))
    assert loss.item() == pytest.approx(math.log(4 / 3))
    loss.backward()
    assert not logits.grad[1:].any()
    none = kind.loss(ranking_logits(), batch_of([[0] * 3] * 3))
    assert none.item() == 0.0


def test_graded_relevance_is_normalised():
    kind = make_kind("Ranking")
    logits = torch.tensor([[0.0, math.log(3)]])
    loss = kind.loss(logits, batch_of([[1.0, 3.0]], [2]))
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    assert loss.item() == pytest.approx(entropy)
    assert torch.equal(loss, kind.loss(logits, batch_of([[2.0, 6.0]], [2])))


def test_ranking_divergence_ignores_absent_cells():
    kind = make_kind("Ranking")
    batch = batch_of(LABELS)
    p, q = ranking_logits(50.0), ranking_logits(float("nan"))
    value = kind.divergence(p, q, batch)
    assert value.item() == 0.0
    value.backward()
    assert not p.grad.any()
    shifted = q.detach() + torch.tensor([[1.0], [2.0], [3.0]])  # a softmax does not see it
    assert kind.divergence(p, shifted, batch).item() == pytest.approx(0.0, abs=1e-6)


def test_ranking_decodes_one_entry_per_candidate():
    kind = make_kind("Ranking")
    predictions = kind.decode(ranking_logits(50.0).detach(), batch_of(LABELS))
    assert [p.value for p in predictions] == [[0, 1], [1, 0, 0], [1]]
    assert [p.gold for p in predictions] == [[0, 1], [1, 0, 0], [1]]
    assert predictions[0].scores == pytest.approx([0.25, 0.75])
    assert predictions[2].scores == pytest.approx([1.0])


def test_ranking_takes_two_label_words():
    assert make_kind("Ranking", labels=("no", "yes")).task.labels == ("no", "yes")
    with pytest.raises(UserError, match="two labels"):
        make_kind("Ranking", labels=("a", "b", "c"))
