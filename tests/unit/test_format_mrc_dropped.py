"""Characters that the normalizer drops from a document belong to the tokens beside them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerBase

from data_utils.collator import make_batch
from data_utils.formats import Example
from data_utils.formats.mrc import SpanLabel, with_dropped
from data_utils.token_table import TokenTable, tokenize
from tests.support.scores import score
from tests.support.tasks import make_kind, make_task
from tests.support.tokenizer_kinds import OTHER_TOKENIZERS

DROPPED = [
    ("Je suis au Cafe\u0301 ce soir", "Cafe\u0301"),  # a combining accent
    ("Je suis au Cafe\u0301", "Cafe\u0301"),  # at the end of the document
    ("me\u0301re, cafe\u0301; the end", "cafe\u0301"),  # before a mark
    ("a cafe\u0301\ufe0f b", "cafe\u0301\ufe0f"),  # with a variation selector
    ("a\u0301 b c", "a\u0301"),  # at the start
    ("\ufeffparis is a city", "\ufeffparis"),  # a byte-order mark
    ("in \u200bparis\u200d\u00ad now", "\u200bparis\u200d\u00ad"),  # both ends
    ("in \u200bparis", "\u200bparis"),
]


@pytest.fixture(scope="module", params=["wordpiece", *OTHER_TOKENIZERS])
def any_tokenizer(request, tokenizer) -> PreTrainedTokenizerBase:
    return tokenizer if request.param == "wordpiece" else OTHER_TOKENIZERS[request.param]()


@pytest.mark.parametrize(("document", "answer"), DROPPED)
def test_characters_that_the_normalizer_drops_belong_to_the_words_beside_them(
    tokenizer, document, answer
):
    start = document.index(answer)
    label = SpanLabel(start, start + len(answer), (answer,))
    example = Example("q", (document, "where ?"), label)
    table, _ = tokenize([example], make_task("Span"), tokenizer, max_seq_len=64)
    batch = make_batch(TokenTable(table).take([0]), task="t", pad_token_id=0)
    (first, last), width = batch.labels[0].tolist(), batch.input_ids.shape[1]
    logits = torch.full((1, width, 2), -10.0)
    logits[0, first, 0] = logits[0, last, 1] = 10.0
    (prediction,) = make_kind("Span").decode(logits, batch)
    assert prediction.value == answer
    for metric in ("EM", "AnswerF1"):
        assert score(metric, [prediction.gold], [prediction.value]) == 100.0


def test_no_token_gets_the_characters_of_another(any_tokenizer):
    """Offsets stay in order, and grow by nothing but characters that no token has."""
    text = " ".join(document for document, _ in DROPPED)
    encoding = any_tokenizer([text], add_special_tokens=False).encodings[0]
    before, after = np.array(encoding.offsets), with_dropped(encoding.offsets, text)
    assert (after[:, 0] <= before[:, 0]).all()
    assert (after[:, 1] >= before[:, 1]).all()
    covered = {i for start, end in before for i in range(start, end)}
    for (start, end), (old_start, old_end) in zip(after, before, strict=True):
        grown = {*range(start, old_start), *range(old_end, end)}
        assert not grown & covered
        assert not any(text[i].isspace() for i in grown)
    found = {i for start, end in after for i in range(start, end)}
    assert all(text[i].isspace() for i in set(range(len(text))) - found)
