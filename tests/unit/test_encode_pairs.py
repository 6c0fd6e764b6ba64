"""encode_pairs has the ids, token types and truncation of ``tokenizer(...)``, for every kind of tokenizer."""

from __future__ import annotations

import pytest
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

from data_utils.formats.rows import encode_pairs

FIRST = ["Über  the [SEP] moon", "a cat. " * 9, "", "we sat"]
SECOND = ["naïve 日本 \u200b!", "no", "a mat " * 12, " on  it "]


def byte_level() -> Tokenizer:
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    start = pre_tokenizers.ByteLevel.alphabet()
    core.train_from_iterator(
        FIRST + SECOND, trainers.BpeTrainer(vocab_size=300, initial_alphabet=start)
    )
    return core


def unigram() -> Tokenizer:
    core = Tokenizer(models.Unigram())
    core.normalizer = normalizers.NFKC()
    core.pre_tokenizer = pre_tokenizers.Metaspace()
    core.train_from_iterator(
        FIRST + SECOND, trainers.UnigramTrainer(vocab_size=60, unk_token="<unk>")
    )
    return core


def fast(
    core: Tokenizer, cls: type = PreTrainedTokenizerFast, **settings
) -> PreTrainedTokenizerFast:
    core.add_special_tokens(["[CLS]", "[SEP]"])
    ids = [(token, core.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ids
    )
    return cls(tokenizer_object=core, **settings)


@pytest.fixture(scope="module", params=["word_piece", "byte_level", "unigram"])
def any_tokenizer(request, tokenizer):
    if request.param == "word_piece":
        return tokenizer
    core = byte_level() if request.param == "byte_level" else unigram()
    return fast(core, model_input_names=["input_ids", "attention_mask"])


@pytest.mark.parametrize("second", [None, SECOND], ids=["single", "pairs"])
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("split", [False, True])
def test_ids_and_truncation_are_those_of_the_call(any_tokenizer, second, side, split, monkeypatch):
    monkeypatch.setattr(any_tokenizer, "truncation_side", side)
    monkeypatch.setattr(any_tokenizer, "split_special_tokens", split)
    any_tokenizer(["a"], truncation=True, max_length=5)  # other settings, which must not stay
    found = encode_pairs(FIRST, second, any_tokenizer, 12)
    whole = any_tokenizer(FIRST, second)["input_ids"]
    expected = any_tokenizer(FIRST, second, truncation="longest_first", max_length=12)
    assert found["input_ids"] == expected["input_ids"]
    assert found["truncated"] == [len(ids) > 12 for ids in whole]
    if "token_type_ids" in expected:
        assert found["token_type_ids"] == expected["token_type_ids"]
    elif second is not None:
        texts = [encoding.sequence_ids for encoding in expected.encodings]
        starts = [ids.index(1) if 1 in ids else len(ids) for ids in texts]
        assert found["token_type_ids"] == [
            [int(place >= start) for place in range(len(ids))]
            for start, ids in zip(starts, texts, strict=True)
        ]


class Loud(PreTrainedTokenizerFast):
    """Changes the text before its core sees it, as the tokenizers of some models do."""

    def _encode_plus(self, text, text_pair=None, **settings):
        return super()._encode_plus([one.upper() for one in text], text_pair, **settings)


def test_a_tokenizer_that_does_more_than_its_core_is_called_itself():
    loud = fast(byte_level(), Loud)
    found = encode_pairs(["we sat"], None, loud, 12)
    assert found["input_ids"] == fast(byte_level())(["WE SAT"])["input_ids"]
