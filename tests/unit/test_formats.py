"""Rows -> examples -> ids and labels."""

from __future__ import annotations

import pytest
from transformers import AutoTokenizer

from data_utils.errors import UserError
from data_utils.formats import DroppedRow, Example, Row
from data_utils.registries import FORMATS
from data_utils.task_def import TaskDef
from tests.support.tasks import make_task

TYPES = {"PremiseAndMultiHypothesis": "Ranking"}
WORDS = ("no", "yes")


def task_of(data_format: str, labels: tuple[str, ...] = WORDS, **fields) -> TaskDef:
    task_type = TYPES.get(data_format, "Classification")
    return make_task(task_type, data_format=data_format, labels=labels, **fields)


def row(**values) -> Row:
    return Row({"uid": "7", "label": "yes", "premise": "one two"} | values, "rows.tsv:3")


def parse(data_format: str, row: Row, **keys) -> Example:
    return FORMATS.get(data_format).parse(row, task_of(data_format, **keys))


def test_every_format_declares_its_columns_and_labels():
    for name in FORMATS.names():
        data_format = FORMATS.get(name)
        assert data_format.columns[0] == "uid"
        assert data_format.labels
        assert set(data_format.token_row_labels) <= set(data_format.labels)
        assert data_format.text_columns
        assert set(data_format.text_columns) <= set(data_format.columns)
        assert not any(column.endswith("*") for column in data_format.columns[:-1])


def test_parse_one_and_two_sentences():
    assert parse("PremiseOnly", row()) == Example("7", ("one two",), 1)
    pair = parse("PremiseAndOneHypothesis", row(hypothesis="three", label=" no "))
    assert pair == Example("7", ("one two", "three"), 0)


def test_parse_candidates_of_varying_number():
    for labels in (["no", "yes", "no"], "no,yes,no"):
        parsed = parse("PremiseAndMultiHypothesis", row(hypothesis=["a", "b", "c"], label=labels))
        assert (parsed.texts, parsed.label) == (("one two", "a", "b", "c"), [0, 1, 0])
        assert parsed.extras == {"ruid": ["7-0", "7-1", "7-2"]}
    numbers = {"labels": (), "n_class": 1}
    one = parse("PremiseAndMultiHypothesis", row(hypothesis=["a"], label="0.5"), **numbers)
    assert one.label == [0.5]
    none = parse("PremiseAndMultiHypothesis", row(hypothesis=["a", "b"], label=""))
    assert none.label is None


@pytest.mark.parametrize("label", ["yes", "yes,no,yes", "yes,", ["yes"]])
def test_one_label_for_each_candidate(label):
    with pytest.raises(UserError, match=r"rows\.tsv:3: \d labels for 2 candidates"):
        parse("PremiseAndMultiHypothesis", row(hypothesis=["a", "b"], label=label))


@pytest.mark.parametrize("hypothesis", [None, [], "one text"])
def test_no_candidates(hypothesis):
    with pytest.raises(UserError, match=r"rows\.tsv:3: no candidates"):
        parse("PremiseAndMultiHypothesis", row(hypothesis=hypothesis))


def test_a_row_without_a_column_names_place_and_columns():
    with pytest.raises(UserError, match=r"rows\.tsv:3: column 'hypothesis' is missing.*premise"):
        parse("PremiseAndOneHypothesis", row())


def test_a_list_is_no_text():
    with pytest.raises(UserError, match=r"rows\.tsv:3: column 'premise' contains a list"):
        parse("PremiseOnly", row(premise=["one", "two"]))


def test_a_label_that_is_not_in_the_list():
    with pytest.raises(UserError) as error:
        parse("PremiseOnly", row(label="yess"))
    assert str(error.value) == (
        "rows.tsv:3: label 'yess' is not a label of task 't'. Did you mean 'yes'? Choices: no, yes."
    )


def test_no_label_and_no_gold_label():
    assert parse("PremiseOnly", row(label="")).label is None
    with pytest.raises(DroppedRow, match="without gold label"):
        parse("PremiseOnly", row(label="-"))
    assert parse("PremiseOnly", row(label="-"), labels=("-", "+")).label == 0


def encode(data_format: str, tokenizer, *texts: tuple[str, ...], max_seq_len: int = 64):
    examples = [Example(str(i), t, None) for i, t in enumerate(texts)]
    return FORMATS.get(data_format).encode(
        examples, tokenizer, task_of(data_format), max_seq_len=max_seq_len
    )


def test_encode_one_sentence(tokenizer):
    columns = encode("PremiseOnly", tokenizer, ("about above",), ("a",))
    words = tokenizer.convert_ids_to_tokens(columns["input_ids"][0])
    assert words == ["[CLS]", "about", "above", "[SEP]"]
    assert columns["token_type_ids"] == [[0, 0, 0, 0], [0, 0, 0]]
    assert columns["truncated"] == [False, False]
    assert columns["uid"] == ["0", "1"]
    assert columns["labels"] == [None, None]


def test_the_longer_of_a_pair_is_cut_first(tokenizer):
    long, short = "about " * 20, "above after"
    columns = encode(
        "PremiseAndOneHypothesis",
        tokenizer,
        *((long, short), (short, long), (long, long), (short, short)),
        max_seq_len=12,
    )
    about, above, after = tokenizer.convert_tokens_to_ids(["about", "above", "after"])
    kept = [[ids.count(about), ids.count(above), ids.count(after)] for ids in columns["input_ids"]]
    assert kept[:2] == [[7, 1, 1], [7, 1, 1]]  # 12 less three special tokens less the short one
    assert kept[3] == [0, 2, 2]
    assert [len(ids) for ids in columns["input_ids"]] == [12, 12, 12, 7]
    assert columns["truncated"] == [True, True, True, False]
    both = columns["token_type_ids"][2]
    assert both == sorted(both)
    assert both.count(1) in (5, 6)  # cut alike: 9 tokens and a [SEP] over both


def test_what_just_fits_is_not_truncated(tokenizer):
    columns = encode("PremiseOnly", tokenizer, ("about " * 6,), ("about " * 7,), max_seq_len=8)
    assert columns["truncated"] == [False, True]
    assert [len(ids) for ids in columns["input_ids"]] == [8, 8]


def test_candidates_are_encoded_as_pairs_with_the_premise(tokenizer):
    texts = [("about", "a", "after all"), ("above", "am", "an", "and also")]
    columns = encode("PremiseAndMultiHypothesis", tokenizer, *texts)
    assert [len(rows) for rows in columns["input_ids"]] == [2, 3]
    for (premise, *candidates), rows, types in zip(
        texts, columns["input_ids"], columns["token_type_ids"], strict=True
    ):
        pairs = encode("PremiseAndOneHypothesis", tokenizer, *((premise, c) for c in candidates))
        assert rows == pairs["input_ids"]
        assert types == pairs["token_type_ids"]


def test_one_truncated_candidate_makes_a_truncated_example(tokenizer):
    texts = [("about", "a", "after " * 9), ("about", "a", "am")]
    columns = encode("PremiseAndMultiHypothesis", tokenizer, *texts, max_seq_len=8)
    assert columns["truncated"] == [True, False]


def test_the_second_sentence_is_marked_for_every_encoder(tokenizer, encoder_folder):
    with_types = encode("PremiseAndOneHypothesis", tokenizer, ("one two", "three"))
    bare = AutoTokenizer.from_pretrained(encoder_folder, model_input_names=["input_ids"])
    without = encode("PremiseAndOneHypothesis", bare, ("one two", "three"))
    assert without["token_type_ids"] == with_types["token_type_ids"]
    assert sum(without["token_type_ids"][0]) == 2  # three [SEP]
