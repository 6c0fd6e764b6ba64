"""Masked language modelling: which tokens are hidden, and behind what."""

from __future__ import annotations

import pytest
import torch

from data_utils import collator
from data_utils.collator import IGNORE, Batch
from mt_dnn.heads.masking import UNTOUCHED, choose_positions, replacement_ids
from tests.support.masked_text import at_positions, encode
from tests.support.tasks import make_kind
from tests.support.words import WORDS


def test_the_proportions_are_berts():
    words = torch.arange(200_000).reshape(100, 2000)
    generator = torch.Generator().manual_seed(0)
    chosen = choose_positions(words, probability=0.15, whole_word=False, generator=generator)
    assert chosen.float().mean().item() == pytest.approx(0.15, abs=0.005)
    ordinary = torch.arange(10, 1010)
    shown = replacement_ids(chosen, mask_id=4, ordinary_ids=ordinary, generator=generator)
    assert (shown[~chosen] == UNTOUCHED).all()
    own = shown[chosen]
    assert (own == 4).float().mean().item() == pytest.approx(0.8, abs=0.015)
    assert (own == UNTOUCHED).float().mean().item() == pytest.approx(0.1, abs=0.01)
    drawn = own[(own != 4) & (own != UNTOUCHED)]
    assert drawn.min() >= 10
    assert len(drawn.unique()) > 900


@pytest.mark.parametrize("whole_word", [False, True])
def test_what_has_no_word_is_never_chosen(whole_word):
    words = torch.tensor([[-1, 0, 0, -1, 1, -1, -1]]).repeat(500, 1)
    generator = torch.Generator().manual_seed(0)
    chosen = choose_positions(words, probability=0.9, whole_word=whole_word, generator=generator)
    assert not chosen[words < 0].any()
    assert chosen[words >= 0].float().mean() > 0.8


def test_whole_words_are_chosen_as_one():
    words = torch.tensor([[-1, 5, 5, 5, 6, 7, 7, -1]]).repeat(4000, 1)
    generator = torch.Generator().manual_seed(0)
    chosen = choose_positions(words, probability=0.15, whole_word=True, generator=generator)
    for begin, end in ((1, 4), (4, 5), (5, 7)):
        first = chosen[:, begin : begin + 1]
        assert torch.equal(chosen[:, begin:end], first.expand(-1, end - begin))
        assert first.float().mean().item() == pytest.approx(0.15, abs=0.02)
    assert (chosen[:, 1] != chosen[:, 4]).any()


def make_lm_batch(tokenizer, *texts: str, pad_multiple: int = 1) -> Batch:
    return collator.make_batch(
        encode(tokenizer, *texts), task="t", pad_token_id=7, pad_multiple=pad_multiple
    )


TEXTS = (" ".join(WORDS[100:120]), "good xyz day", " ".join(WORDS[50:60]))


def test_labels_are_the_original_ids_of_what_is_hidden(tokenizer):
    kind = make_kind("MaskLM", tokenizer, options={"mask_probability": 0.4})
    batch = make_lm_batch(tokenizer, *TEXTS, pad_multiple=16)
    before = batch.input_ids.clone()
    seen = kind.prepare(batch, 3)
    assert torch.equal(batch.input_ids, before)
    labels = at_positions(seen, seen.labels)
    hidden = labels != IGNORE
    assert hidden.sum() == (seen.labels != IGNORE).sum() > 8
    assert torch.equal(labels[hidden], before[hidden])
    assert torch.equal(seen.input_ids[~hidden], before[~hidden])
    assert (seen.input_ids != before).any()
    assert not torch.isin(before[hidden], torch.tensor(tokenizer.all_special_ids)).any()


def test_no_special_token_is_drawn_as_a_random_one(tokenizer):
    kind = make_kind("MaskLM", tokenizer)
    ids = [*kind.ordinary_ids.tolist(), *tokenizer.all_special_ids]
    assert sorted(ids) == list(range(len(tokenizer)))


def test_the_seed_alone_says_what_is_hidden(tokenizer):
    kind = make_kind("MaskLM", tokenizer)
    batch = make_lm_batch(tokenizer, *TEXTS)
    once, other = kind.prepare(batch, 1), kind.prepare(batch, 2)
    torch.manual_seed(99)
    again = kind.prepare(make_lm_batch(tokenizer, *TEXTS), 1)
    assert torch.equal(once.input_ids, again.input_ids)
    assert torch.equal(once.labels, again.labels)
    assert not torch.equal(once.input_ids, other.input_ids)


def test_padding_to_a_multiple_hides_the_same(tokenizer):
    kind = make_kind("MaskLM", tokenizer)
    narrow = kind.prepare(make_lm_batch(tokenizer, *TEXTS), 1)
    wide = kind.prepare(make_lm_batch(tokenizer, *TEXTS, pad_multiple=64), 1)
    assert wide.input_ids.shape[1] == 64
    assert torch.equal(wide.input_ids[:, : narrow.input_ids.shape[1]], narrow.input_ids)
    assert (wide.input_ids[:, narrow.input_ids.shape[1] :] == 7).all()
    assert torch.equal(wide.labels, narrow.labels)
