"""Words with a label each: what is parsed, and which token carries which label."""

from __future__ import annotations

import pytest

from data_utils.errors import UserError
from data_utils.formats import IGNORE, Row
from data_utils.registries import FORMATS
from data_utils.task_def import TaskDef
from data_utils.token_table import TokenTable, tokenize
from tests.support.tasks import make_task

LABELS = ("O", "B-x", "I-x")
SEQUENCE = FORMATS.get("Sequence")


def task(**fields) -> TaskDef:
    return make_task("SequenceLabeling", **{"labels": LABELS, **fields})


def row(tokens, label="") -> Row:
    return Row({"uid": "7", "tokens": tokens, "label": label}, "rows.tsv:3")


@pytest.mark.parametrize(
    ("tokens", "label"),
    [
        ('["good", "day"]', '["B-x", "O"]'),
        ("['good', 'day']", "['B-x', 'O']"),
        ("good day", "B-x O"),
        (["good", "day"], ["B-x", "O"]),
    ],
)
def test_lists_are_literals_json_or_words_between_blanks(tokens, label):
    parsed = SEQUENCE.parse(row(tokens, label), task())
    assert (parsed.texts, parsed.label) == (("good", "day"), [1, 0])


def test_nothing_is_evaluated():
    text = "[__import__('os').getcwd()]"
    assert SEQUENCE.parse(row(text), task()).texts == (text,)
    with pytest.raises(UserError, match=r"rows\.tsv:3: column 'tokens' is not a list"):
        SEQUENCE.parse(row("['a', __import__('os').getcwd()]"), task())


@pytest.mark.parametrize("text", ["[ 1 , 2 ]", "[ citation needed ]", "[", "[x] y"])
def test_a_sentence_may_begin_with_a_bracket(text):
    assert SEQUENCE.parse(row(text), task()).texts == tuple(text.split())


@pytest.mark.parametrize(
    ("tokens", "label", "message"),
    [
        ("a b c", "O O", r"rows\.tsv:3: 2 labels for 3 words"),
        ("a b", "O B-y", r"rows\.tsv:3: label 'B-y' .*Did you mean 'B-x'"),
        ("", "O", r"rows\.tsv:3: column 'tokens' has no words"),
        ("['a', 'b'", "O O", r"rows\.tsv:3: column 'tokens' is not a list"),
    ],
)
def test_malformed_rows_name_their_place(tokens, label, message):
    with pytest.raises(UserError, match=message):
        SEQUENCE.parse(row(tokens, label), task())


def test_an_empty_label_cell_is_no_label():
    assert SEQUENCE.parse(row("a b"), task()).label is None


def encode(tokenizer, *rows: Row, max_seq_len: int = 32, **keys):
    definition = task(**keys)
    examples = [SEQUENCE.parse(r, definition) for r in rows]
    return tokenize(examples, definition, tokenizer, max_seq_len=max_seq_len)


def test_the_first_sub_word_carries_the_label(tokenizer):
    """``xyz`` is three sub-words of the tiny vocabulary, ``good`` one."""
    table, truncated = encode(tokenizer, row("good xyz day", "O B-x I-x"))
    found = TokenTable(table).take([0])
    ids = found["input_ids"][0]
    assert tokenizer.convert_ids_to_tokens(ids) == [
        "[CLS]",
        "good",
        "x",
        "##y",
        "##z",
        "day",
        "[SEP]",
    ]
    assert found["labels"][0].tolist() == [IGNORE, 0, 1, IGNORE, IGNORE, 2, IGNORE]
    assert found["word_starts"][0].tolist() == [1, 2, 5]
    assert found["word_labels"][0].tolist() == [0, 1, 2]
    assert truncated == [False]


def test_truncation_counts_sub_words_and_scores_count_the_words_cut_off(tokenizer):
    table, truncated = encode(tokenizer, row("xyz xyz good", "B-x I-x O"), max_seq_len=8)
    found = TokenTable(table).take([0])
    assert len(found["input_ids"][0]) == 8
    assert found["word_starts"][0].tolist() == [1, 4, -1]
    assert found["word_labels"][0].tolist() == [1, 2, 0]
    assert [x for x in found["labels"][0].tolist() if x != IGNORE] == [1, 2]
    assert truncated == [True]


def test_words_without_a_token_have_no_place(tokenizer):
    """A zero-width space is a word of some corpora, and nothing to the tokenizer."""
    table, _ = encode(tokenizer, row(["good", "\u200b", "day"], ["O", "B-x", "O"]))
    found = TokenTable(table).take([0])
    assert found["word_starts"][0].tolist() == [1, -1, 2]


def test_unlabelled_words_are_stored_without_labels(tokenizer):
    table, _ = encode(tokenizer, row("good day"))
    assert set(table.column_names) == {"uid", "input_ids", "token_type_ids", "word_starts"}
