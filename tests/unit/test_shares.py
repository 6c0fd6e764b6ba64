"""What each batch of an update weighs: by its labelled units within a task, by batches between tasks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from data_utils.collator import IGNORE, Batch
from mt_dnn.randomness import step_seed
from mt_dnn.training.shares import batch_shares
from tests.support.batches import make_batch
from tests.support.tasks import make_kind

KINDS = {
    "words": make_kind("SequenceLabeling", name="words"),
    "a": make_kind(name="a"),
    "weighted": make_kind(name="weighted", options={"class_weights": {"1": 3.0}}),
    "rank": make_kind("Ranking", name="rank"),
}


def words(count: int) -> Batch:
    """One sentence of 10 tokens, of which the first ``count`` are labelled."""
    labels = [[1] * count + [IGNORE] * (10 - count)]
    return make_batch([10], labels=labels, task="words")


def examples(count: int, task: str = "a") -> Batch:
    return make_batch([3] * count, labels=[1] * count, task=task)


def shares(*batches: Batch) -> list[float]:
    found = batch_shares(batches, KINDS, range(len(batches)), Accelerator(cpu=True))
    return [float(share) for share in found]


def test_one_batch_and_equal_batches_weigh_exactly_1():
    assert shares(examples(5)) == [1.0]
    assert shares(examples(5), words(3)) == [1.0, 1.0]
    assert shares(examples(7), examples(7), examples(7)) == [1.0, 1.0, 1.0]


def test_words_weigh_the_same_in_every_batch():
    assert shares(words(1), words(9)) == pytest.approx([0.2, 1.8])


def test_a_task_weighs_by_its_number_of_batches():
    found = shares(examples(2), words(5), examples(6))
    assert found == pytest.approx([0.5, 1.0, 1.5])
    assert found[0] + found[2] == pytest.approx(2 * found[1])


def test_units_are_the_denominator_of_the_loss():
    weighted = examples(2, "weighted"), make_batch([3] * 2, labels=[0, 0], task="weighted")
    assert shares(*weighted) == pytest.approx([2 * 6 / 8, 2 * 2 / 8])
    ranked = [
        make_batch([3] * 4, labels=labels, candidates=[2, 2], task="rank")
        for labels in ([[1, 0], [0, 1]], [[0, 0], [0, 1]])
    ]
    assert shares(*ranked) == pytest.approx([4 / 3, 2 / 3])


def test_without_a_labelled_unit_batches_weigh_the_same():
    assert shares(words(0), words(0)) == [1.0, 1.0]
    assert shares(words(0), words(4)) == [0.0, 2.0]


def test_filler_has_no_share():
    filler = make_batch([3], labels=[1], task="a", is_filler=True)
    assert shares(filler, examples(3)) == [0.0, 2.0]


def test_masked_tokens_are_counted_as_the_step_masks_them(tokenizer):
    kind = make_kind("MaskLM", tokenizer=tokenizer, name="text")
    ids = {"word_ids": [np.arange(30)]}
    batch = make_batch([30], ids=(5, 20), extras=ids, task="text")
    short = make_batch([10], ids=(5, 20), extras={"word_ids": [np.arange(10)]}, task="text")
    counts = [
        int((kind.prepare(own, step_seed(seed, 2)).labels != IGNORE).sum())
        for own, seed in ((batch, 11), (short, 12))
    ]
    found = batch_shares([batch, short], {"text": kind}, [11, 12], Accelerator(cpu=True))
    assert list(found) == pytest.approx([2 * count / sum(counts) for count in counts])
    assert counts[0] != counts[1]


@pytest.mark.parametrize("task", KINDS)
def test_shares_of_two_parts_give_the_loss_of_the_whole(task):
    """Averaged with their shares, the losses of two parts are the loss of one batch."""
    kind = KINDS[task]
    torch.manual_seed(0)
    if task == "words":
        parts = [words(1), words(9)]
        logits = [torch.randn(1, 10, 3) for _ in parts]
        whole = make_batch([10, 10], labels=torch.cat([p.labels for p in parts]), task=task)
    elif task == "rank":
        rows = [torch.tensor([[1, 0], [0, 0], [0, 1]]), torch.tensor([[0, 1]])]
        parts = [
            make_batch([3] * 2 * len(r), labels=r, candidates=[2] * len(r), task=task) for r in rows
        ]
        logits = [torch.randn(3, 2), torch.randn(1, 2)]
        whole = make_batch([3] * 8, labels=torch.cat(rows), candidates=[2] * 4, task=task)
    else:
        gold = [torch.tensor([1]), torch.tensor([0, 2, 1])]
        parts = [make_batch([3] * len(own), labels=own, task=task) for own in gold]
        logits = [torch.randn(1, 3), torch.randn(3, 3)]
        whole = make_batch([3] * 4, labels=torch.cat(gold), task=task)
    own = [kind.loss(z, part) * s for z, part, s in zip(logits, parts, shares(*parts), strict=True)]
    expected = kind.loss(torch.cat(logits), whole)
    torch.testing.assert_close(sum(own) / 2, expected)
