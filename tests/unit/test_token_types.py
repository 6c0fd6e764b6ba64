"""Labels at tokens: the loss, what a divergence looks at, and words out of sub-words."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from data_utils.collator import IGNORE
from mt_dnn.divergences import symmetric_kl
from mt_dnn.task_types.sequence_labeling import SequenceLabeling
from tests.support.tasks import make_kind
from tests.support.token_labels import LABELS, STARTS, WIDTH, word_batch

T, C = WIDTH, 3


@pytest.fixture
def kind() -> SequenceLabeling:
    return make_kind("SequenceLabeling", labels=("O", "B-x", "I-x"))


@pytest.fixture
def logits():
    return torch.randn(2, T, C, generator=torch.Generator().manual_seed(0))


def test_the_loss_is_the_mean_over_labelled_tokens_of_the_batch(kind, logits):
    log_p = logits.log_softmax(-1)
    expected = -(log_p[0, 1, 2] + log_p[0, 3, 0] + log_p[1, 1, 1]) / 3
    assert kind.loss(logits, word_batch(LABELS, STARTS)) == pytest.approx(expected.item())


def test_labels_may_be_narrower_than_padded_logits(kind, logits):
    """``batch.pad_multiple`` widens the tokens alone."""
    narrow = word_batch([row[:4] for row in LABELS], STARTS)
    assert torch.equal(kind.loss(logits, narrow), kind.loss(logits, word_batch(LABELS, STARTS)))


def test_without_labels_there_is_no_loss_and_no_nan(kind, logits):
    nothing = word_batch([[IGNORE] * T] * 2, STARTS)
    logits.requires_grad_()
    loss = kind.loss(logits, nothing)
    loss.backward()
    assert loss.item() == 0
    assert not logits.grad.any()


def test_the_divergence_is_the_mean_over_labelled_tokens(kind, logits):
    q = logits + torch.randn(logits.shape, generator=torch.Generator().manual_seed(1))
    places = [(0, 1), (0, 3), (1, 1)]
    expected = sum(symmetric_kl(logits[p], q[p]).item() for p in places) / 3
    found = kind.divergence(logits, q, word_batch(LABELS, STARTS))
    assert found.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e30])
def test_what_stands_at_other_tokens_does_not_matter(kind, logits, value):
    rows = word_batch(LABELS, STARTS)
    q = logits + 1
    q[0, 1] -= torch.tensor([1.0, 0.0, 0.0])
    before = kind.divergence(logits, q, rows)
    assert before > 0
    p, q = logits.clone(), q.clone()
    p[0, 0], q[1, 4] = value, value
    p.requires_grad_()
    after = kind.divergence(p, q, rows)
    assert torch.equal(after, before)
    after.backward()
    assert p.grad.isfinite().all()


def test_words_are_decoded_at_their_first_sub_word_and_cut_ones_are_outside(kind, logits):
    rows = word_batch(LABELS, [[1, 3, -1], [1]], word_labels=[np.array([2, 0, 1]), np.array([1])])
    first, second = kind.decode(logits, rows)
    best = logits.argmax(-1)
    assert first.value == [best[0, 1], best[0, 3], 0]
    assert first.gold == [2, 0, 1]
    assert first.scores[2] == 0.0
    assert first.scores[0] == pytest.approx(logits[0, 1].softmax(-1).max().item())
    assert (second.value, second.gold) == ([best[1, 1]], [1])
    assert kind.in_words(first.gold) == ["I-x", "O", "B-x"]


def test_unpadded_logits_have_a_row_for_each_word(kind, logits):
    first, second = kind.unpadded(logits, word_batch(None, [[1, -1, 3, -1], [1]]))
    assert torch.equal(first[[0, 2]], logits[0, [1, 3]])
    assert first[[1, 3]].isnan().all()
    assert torch.equal(second, logits[1, [1]])


def test_the_guess_is_the_most_frequent_label_of_words(kind):
    assert kind.guess([[0, 0, 1], [2]]) == [[0, 0, 0], [0]]
