"""Questions about documents -> windows of ids, with positions that lead back to the text.

Three tokenizers: WordPiece; byte-level BPE, as RoBERTa has; unigrams of SentencePiece, as T5 has.
"""

from __future__ import annotations

import math
import random
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from transformers import PreTrainedTokenizerBase

from data_utils.collator import make_batch
from data_utils.errors import UserError
from data_utils.formats import Example
from data_utils.formats.mrc import NO_ANSWER_AT, UNANSWERABLE, SpanLabel
from data_utils.registries import FORMATS
from data_utils.token_table import TokenTable, tokenize
from tests.support.tasks import make_task
from tests.support.tokenizer_kinds import OTHER_TOKENIZERS
from tests.support.words import WORDS

MRC = FORMATS.get("MRC")
DOCUMENT = "The dog sleeps in the house, and the cat in the garden."


@pytest.fixture(scope="module", params=["wordpiece", *OTHER_TOKENIZERS])
def any_tokenizer(request, tokenizer) -> PreTrainedTokenizerBase:
    return tokenizer if request.param == "wordpiece" else OTHER_TOKENIZERS[request.param]()


def some_examples(count: int = 30) -> list[Example]:
    """Random documents, some words of which the tokenizers spell; the answer is one to three words."""
    rng = random.Random(0)
    examples = []
    for i in range(count):
        words = [rng.choice([*WORDS, "Qatar", "café", "naïve", "日本"]) for _ in range(120)]
        begin = rng.randrange(120)
        answer = " ".join(words[begin : begin + rng.randint(1, 3)])
        start = len(" ".join([*words[:begin], ""]))
        label = SpanLabel(start, start + len(answer), (answer, "another"))
        question = " ".join(rng.choices(WORDS, k=rng.randint(1, 6))) + " ?"
        examples.append(Example(str(i), (" ".join(words), question), label))
    return examples


def encode(
    examples: list[Example], tokenizer: PreTrainedTokenizerBase, max_seq_len: int, **options: Any
) -> dict[str, list]:
    return MRC.encode(
        examples,
        tokenizer,
        make_task("Span", options=options, where="f:1"),
        max_seq_len=max_seq_len,
    )


def rows_of(columns: dict[str, list], uid: str) -> list[dict[str, Any]]:
    """The windows of one row."""
    stored = {name: values for name, values in columns.items() if name != "truncated"}
    rows = [dict(zip(stored, values, strict=True)) for values in zip(*stored.values(), strict=True)]
    return [row for row in rows if row["uid"] == uid]


def span_text(row: dict[str, Any], start: int, end: int) -> str:
    first, last = start - row["passage_at"], end - row["passage_at"]
    return row["passage"][row["char_starts"][first] : row["char_ends"][last]].strip()


def document_ids(row: dict[str, Any]) -> list[int]:
    return row["input_ids"][row["passage_at"] :][: len(row["char_starts"])]


def test_windows_are_those_of_transformers(any_tokenizer):
    examples = some_examples()
    longest = max(len(any_tokenizer(example.texts[1])["input_ids"]) for example in examples)
    width = 2 * longest + 20  # no question is cut
    columns = encode(examples, any_tokenizer, width, stride=7)
    theirs = any_tokenizer(
        [example.texts[1] for example in examples],
        [example.texts[0] for example in examples],
        truncation="only_second",
        max_length=width,
        stride=7,
        return_overflowing_tokens=True,
        return_token_type_ids=True,
    )
    assert columns["input_ids"] == theirs["input_ids"]
    assert columns["uid"] == [examples[i].uid for i in theirs["overflow_to_sample_mapping"]]
    has_types = "token_type_ids" in any_tokenizer.model_input_names
    assert ("token_type_ids" in columns) == has_types
    if has_types:
        assert columns["token_type_ids"] == theirs["token_type_ids"]
    assert columns["truncated"] == [False] * len(examples)


def test_the_label_of_every_window_that_holds_the_answer_reads_as_the_answer(any_tokenizer):
    examples = some_examples()
    columns = encode(examples, any_tokenizer, 96, stride=24)
    held = 0
    for example in examples:
        windows = rows_of(columns, example.uid)
        assert [window["window"] for window in windows] == list(range(len(windows)))
        assert all(window["answers"] == list(example.label.answers) for window in windows)
        alone = any_tokenizer(example.texts[0], add_special_tokens=False)
        first = alone.char_to_token(example.label.start)
        last = alone.char_to_token(example.label.end - 1)
        begin = 0
        for window in windows:
            count = len(window["char_starts"])
            if begin <= first and last < begin + count:
                assert span_text(window, *window["labels"]) == example.label.answers[0]
                at = window["passage_at"]
                assert window["labels"] == (at + first - begin, at + last - begin)
                held += 1
            else:
                assert window["labels"] == (NO_ANSWER_AT, NO_ANSWER_AT)
            begin += count - 24
    assert len(examples) <= held < len(columns["labels"])


def test_windows_cover_the_document_and_overlap_by_the_stride(any_tokenizer):
    examples = some_examples()
    columns = encode(examples, any_tokenizer, 96, stride=11)
    for example in examples:
        windows = rows_of(columns, example.uid)
        assert len(windows) > 1
        joined = document_ids(windows[0])
        for one, other in pairwise(windows):
            assert document_ids(one)[-11:] == document_ids(other)[:11]
            joined += document_ids(other)[11:]
            assert len(one["input_ids"]) == 96
        alone = any_tokenizer(example.texts[0], add_special_tokens=False)["input_ids"]
        assert joined == alone
        assert all(window["passage"] in example.texts[0] for window in windows)
        assert example.texts[0].startswith(windows[0]["passage"])
        assert example.texts[0].endswith(windows[-1]["passage"])


def test_no_tokens_of_the_question_are_the_documents(any_tokenizer):
    specials = set(any_tokenizer.all_special_ids) - {any_tokenizer.unk_token_id}
    for example in some_examples(5):
        question = any_tokenizer(example.texts[1], add_special_tokens=False)["input_ids"]
        for window in rows_of(encode([example], any_tokenizer, 96, stride=8), example.uid):
            before = window["input_ids"][: window["passage_at"]]
            assert [i for i in before if i not in specials] == question
            assert window["passage_at"] > NO_ANSWER_AT
            assert not specials & set(document_ids(window))
            after = window["input_ids"][window["passage_at"] + len(window["char_starts"]) :]
            assert set(after) <= specials


def test_a_window_by_hand(tokenizer):
    label = SpanLabel(4, 7, ("dog",))
    columns = encode([Example("7", (DOCUMENT, "who sleeps ?"), label)], tokenizer, 20, stride=4)
    first, second = rows_of(columns, "7")
    tokens = tokenizer.convert_ids_to_tokens(first["input_ids"])
    assert " ".join(tokens) == (
        "[CLS] who sleep ##s ? [SEP] the dog sleep ##s in the house , and the cat in the [SEP]"
    )
    assert first["passage"] == "The dog sleeps in the house, and the cat in the"
    assert first["passage_at"] == 6
    assert first["token_type_ids"] == [0] * 6 + [1] * 14
    assert first["labels"] == (7, 7)
    assert first["char_starts"].tolist()[:4] == [0, 4, 8, 13]
    assert first["char_ends"].tolist()[:4] == [3, 7, 13, 14]
    tokens = tokenizer.convert_ids_to_tokens(second["input_ids"])
    assert " ".join(tokens) == "[CLS] who sleep ##s ? [SEP] the cat in the garden . [SEP]"
    assert second["passage"] == "the cat in the garden."
    assert second["char_starts"].tolist()[0] == 0
    assert second["labels"] == (NO_ANSWER_AT, NO_ANSWER_AT)


def test_an_answer_that_a_window_cuts_is_not_in_it(tokenizer):
    document = " ".join(WORDS[:40])
    answer = " ".join(WORDS[10:20])
    start = document.index(answer)
    label = SpanLabel(start, start + len(answer), (answer,))
    columns = encode([Example("7", (document, "who ?"), label)], tokenizer, 20, stride=2)
    assert len(columns["labels"]) > 2
    assert set(columns["labels"]) == {(NO_ANSWER_AT, NO_ANSWER_AT)}


def test_an_answer_inside_a_word_takes_the_tokens_that_it_shares_characters_with(tokenizer):
    document = "it was qqabqq then"
    label = SpanLabel(9, 11, ("ab",))
    row = rows_of(encode([Example("7", (document, "?"), label)], tokenizer, 30), "7")[0]
    assert span_text(row, *row["labels"]) == "ab"
    whole = SpanLabel(1, 4, ("t w",))  # half of each word
    row = rows_of(encode([Example("7", (document, "?"), whole)], tokenizer, 30), "7")[0]
    assert span_text(row, *row["labels"]) == "it was"


def test_unanswerable_and_unlabelled(tokenizer):
    none = encode([Example("7", (DOCUMENT, "who ?"), UNANSWERABLE)], tokenizer, 64)
    assert none["labels"] == [(NO_ANSWER_AT, NO_ANSWER_AT)]
    assert none["answers"] == [[]]
    unlabelled = encode([Example("7", (DOCUMENT, "who ?"))], tokenizer, 64)
    assert not {"labels", "answers"} & unlabelled.keys()


def test_an_over_long_question_is_cut_at_half(tokenizer):
    long, short = " ".join(WORDS[20:100]), "who ?"
    documents = [" ".join(WORDS[:40]), "a dog"]
    examples = [
        Example(f"{i}{j}", (document, question), UNANSWERABLE)
        for i, document in enumerate(documents)
        for j, question in enumerate((long, short))
    ]
    columns = encode(examples, tokenizer, 33, stride=100)
    assert columns["truncated"] == [True, False, True, False]
    assert max(map(len, columns["input_ids"])) == 33
    (cut,) = rows_of(columns, "10")
    assert cut["input_ids"] == tokenizer(" ".join(WORDS[20:35]), "a dog")["input_ids"]
    # The overlap is never more than half of what a window has of the document.
    first, second, *_ = rows_of(columns, "00")
    assert document_ids(first)[-7:] == document_ids(second)[:7]
    assert len(document_ids(first)) == 15


def test_a_question_that_just_fits_is_not_counted_as_cut(tokenizer):
    examples = [Example("7", ("a dog", " ".join(WORDS[20 : 20 + n])), None) for n in (15, 16)]
    columns = encode(examples, tokenizer, 33)
    assert columns["truncated"] == [False, True]
    assert columns["input_ids"][0] == columns["input_ids"][1]


def test_a_negative_stride_is_refused(tokenizer):
    with pytest.raises(UserError, match="f:1: options: stride: -1"):
        encode(some_examples(1), tokenizer, 64, stride=-1)


def test_the_default_stride_is_128(tokenizer):
    document = " ".join(WORDS[:400])
    columns = encode([Example("7", (document, "who ?"), UNANSWERABLE)], tokenizer, 384)
    first, second = rows_of(columns, "7")
    assert document_ids(first)[-128:] == document_ids(second)[:128]


@pytest.mark.parametrize("max_seq_len", [8, 9, 32])
def test_a_stride_that_is_too_long_for_the_windows(tokenizer, max_seq_len):
    """The default of 128 would never move on; half of the room for the document is the most."""
    document = " ".join(WORDS[:50])
    columns = encode([Example("7", (document, "who ?"), UNANSWERABLE)], tokenizer, max_seq_len)
    room = max_seq_len - 3 - 2  # special tokens, question
    windows = rows_of(columns, "7")
    assert len(windows) == 1 + math.ceil((50 - room) / (room - room // 2))
    assert max(map(len, columns["input_ids"])) == max_seq_len
    tokens = document_ids(windows[0])
    for one, other in pairwise(windows):
        assert document_ids(one)[-(room // 2) :] == document_ids(other)[: room // 2]
        tokens += document_ids(other)[room // 2 :]
    assert tokens == tokenizer.convert_tokens_to_ids(WORDS[:50])


def test_nothing_to_read(tokenizer):
    columns = encode([Example("7", ("", ""), None)], tokenizer, 64)
    (ids,) = columns["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids) == ["[CLS]", "[SEP]", "[SEP]"]
    assert columns["passage"] == [""]
    assert [len(starts) for starts in columns["char_starts"]] == [0]


def test_windows_through_a_table_into_a_batch(any_tokenizer):
    examples = [*some_examples(3), Example("none", ("", "who ?"), UNANSWERABLE)]
    columns = encode(examples, any_tokenizer, 64, stride=8)
    table, truncated = tokenize(
        examples, make_task("Span", options={"stride": 8}), any_tokenizer, max_seq_len=64
    )
    assert truncated == columns["truncated"]
    tokens = TokenTable(table)
    assert len(tokens) == len(columns["uid"]) > len(examples)
    batch = make_batch(tokens.take(range(len(tokens))), task="t", pad_token_id=0)
    assert batch.uids == columns["uid"]
    assert batch.labels.tolist() == [list(label) for label in columns["labels"]]
    for name in ("window", "passage", "passage_at", "answers"):
        assert batch.extras[name] == columns[name]
    for name in ("char_starts", "char_ends"):
        assert all(map(np.array_equal, batch.extras[name], columns[name]))
        assert batch.extras[name][0].dtype == np.int32
