"""PronounChoice: two sequences per candidate, and where the pronoun and the candidate are in them."""

from __future__ import annotations

from typing import Any

import pytest
import tokenizers
from transformers import PreTrainedTokenizerFast

from data_utils.errors import UserError
from data_utils.formats import Row
from data_utils.registries import FORMATS
from tests.support.tasks import make_task

TEXT = "The cup did not fit in the bag because [it] was too big."
FORMAT = FORMATS.get("PronounChoice")
TASK = make_task("HNN")


def row(**values: Any) -> Row:
    defaults = {"uid": "7", "premise": TEXT, "hypothesis": ["the cup", "bag"], "label": [1, 0]}
    return Row(defaults | values, "a.tsv:3")


@pytest.fixture(scope="module")
def pieces() -> PreTrainedTokenizerFast:
    """A byte-level BPE as RoBERTa's, of characters; a space, "Ġ", belongs to the character after it."""
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    merges = [("Ġ", letter) for letter in "abcfi"]
    entries = ["<s>", "</s>", "<pad>", "<mask>", *alphabet, *map("".join, merges)]
    model = tokenizers.models.BPE({token: i for i, token in enumerate(entries)}, merges)
    backend = tokenizers.Tokenizer(model)
    backend.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.post_processor = tokenizers.processors.RobertaProcessing(("</s>", 1), ("<s>", 0))
    mask = tokenizers.AddedToken("<mask>", lstrip=True, special=True)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        mask_token=mask,
        model_input_names=["input_ids", "attention_mask"],
    )


@pytest.fixture(scope="module")
def words() -> PreTrainedTokenizerFast:
    """A token per word, with BERT's special tokens."""
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary += [
        "the",
        "cup",
        "did",
        "not",
        "fit",
        "in",
        "bag",
        "because",
        "it",
        "was",
        "too",
        "big",
        ".",
        "a",
    ]
    ids = {token: i for i, token in enumerate(vocabulary)}
    backend = tokenizers.Tokenizer(tokenizers.models.WordLevel(ids, unk_token="[UNK]"))
    backend.normalizer = tokenizers.normalizers.Lowercase()
    backend.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    backend.post_processor = tokenizers.processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        mask_token="[MASK]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def encode(tokenizer: Any, *rows: Row, max_seq_len: int = 64) -> dict[str, list]:
    examples = [FORMAT.parse(one, TASK) for one in rows]
    return FORMAT.encode(examples, tokenizer, TASK, max_seq_len=max_seq_len)


def spelled(tokenizer: Any, ids: list[int]) -> str:
    return " ".join(tokenizer.convert_ids_to_tokens(ids))


def test_both_sequences_of_each_candidate(words):
    found = encode(words, row())
    (sequences,) = found["input_ids"]
    assert [spelled(words, ids) for ids in sequences] == [
        "[CLS] the cup did not fit in the bag because [MASK] [MASK] was too big . [SEP]",
        "[CLS] the cup did not fit in the bag because it was too big . [SEP] the cup [SEP]",
        "[CLS] the cup did not fit in the bag because [MASK] was too big . [SEP]",
        "[CLS] the cup did not fit in the bag because it was too big . [SEP] bag [SEP]",
    ]
    assert found["blank_at"] == [[[10, 11], [10]]]
    assert found["pronoun_at"] == [[10, 10]]
    assert found["candidate_at"] == [[[16, 17], [16]]]
    assert [spelled(words, ids) for ids in found["fill"][0]] == ["the cup", "bag"]
    assert [sum(types) for types in found["token_type_ids"][0]] == [0, 3, 0, 2]
    assert found["labels"] == [[1, 0]]
    assert found["truncated"] == [False]
    assert (found["choice"], found["answer"]) == ([["the cup", "bag"]], [["the cup"]])


def test_tokens_of_a_candidate_are_those_that_it_has_inside_the_text(pieces):
    found = encode(pieces, row(premise="So [it] fell.", hypothesis=["bag", "a cup"]))
    assert [spelled(pieces, ids) for ids in found["input_ids"][0][:2]] == [
        "<s> S o <mask> <mask> <mask> Ġf e l l . </s>",
        "<s> S o Ġi t Ġf e l l . </s> </s> b a g </s>",
    ]
    assert [spelled(pieces, ids) for ids in found["fill"][0]] == ["Ġb a g", "Ġa Ġc u p"]
    assert "token_type_ids" not in found


def test_the_masks_take_the_place_of_what_they_hide(words):
    """With the candidate's tokens back in the blank, sequence 1 is the filled text."""
    rows = [row(), row(premise="[It] was the bag.", hypothesis=["a big cup", "fit"], label=[0, 1])]
    found = encode(words, *rows)
    for one, sequences, fills, blanks in zip(
        rows, found["input_ids"], found["fill"], found["blank_at"], strict=True
    ):
        before, _, rest = one.values["premise"].partition("[")
        for k, text in enumerate(one.values["hypothesis"]):
            ids = list(sequences[2 * k])
            for at, token in zip(blanks[k], fills[k], strict=True):
                assert ids[at] == words.mask_token_id
                ids[at] = token
            assert ids == words(before + text + rest.partition("]")[2])["input_ids"]


@pytest.mark.parametrize("before", [0, 3, 40, 80])
def test_a_long_text_keeps_its_pronoun(words, before):
    long = " ".join(["cup"] * before + ["[it]"] + ["bag"] * (80 - before))
    found = encode(words, row(premise=long), max_seq_len=24)
    assert found["truncated"] == [True]
    for sequence, two in zip(found["input_ids"][0][::2], found["input_ids"][0][1::2], strict=True):
        assert len(sequence) <= 24
        assert len(two) <= 24
    (first, _, pair, *_), (at, _) = found["input_ids"][0], found["pronoun_at"][0]
    assert len(found["input_ids"][0][1]) == 24  # no room is left unused
    assert words.convert_ids_to_tokens(found["input_ids"][0][1][at]) == "it"
    assert [first[i] for i in found["blank_at"][0][0]] == [words.mask_token_id] * 2
    assert (
        spelled(words, [found["input_ids"][0][3][i] for i in found["candidate_at"][0][1]]) == "bag"
    )
    assert pair[found["blank_at"][0][1][0]] == words.mask_token_id


def test_rows_of_the_format_are_rows_of_cloze_choice():
    cloze = FORMATS.get("ClozeChoice")
    task = make_task("ClozeChoice")
    assert FORMAT.columns == cloze.columns
    assert cloze.parse(row(), task) == FORMAT.parse(row(), TASK)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"premise": "The cup fell."}, "'premise' has 0 words in brackets"),
        ({"premise": "[He] saw [it]."}, "'premise' has 2 words in brackets"),
        ({"hypothesis": ["bag", " "]}, "'hypothesis' has an empty candidate"),
        ({"label": [1]}, "1 labels for 2 candidates"),
    ],
)
def test_a_malformed_row_names_its_place(values, message):
    with pytest.raises(UserError, match=message) as error:
        FORMAT.parse(row(**values), TASK)
    assert str(error.value).startswith("a.tsv:3: ")


def test_a_candidate_that_does_not_fit_is_an_error(words):
    long = row(hypothesis=["cup " * 30, "bag"])
    with pytest.raises(UserError, match=r"example 7: .*not fit in 16 tokens"):
        encode(words, long, max_seq_len=16)


def test_a_tokenizer_without_mask_token_is_refused(words):
    bare = PreTrainedTokenizerFast(tokenizer_object=words.backend_tokenizer)
    with pytest.raises(UserError, match="HNN needs a mask token"):
        encode(bare, row())
