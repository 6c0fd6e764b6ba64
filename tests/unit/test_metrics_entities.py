"""Entities that label words spell: by hand, against conlleval, against seqeval's own scores."""

from __future__ import annotations

import numpy as np
import pytest
import seqeval.metrics as seqeval

from data_utils.errors import UserError
from data_utils.metrics.tag_scheme import TAGS, tag_scheme
from tests.reference import conlleval
from tests.support.scores import reported, score
from tests.support.tasks import make_task

LABELS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
OUT, B_PER, I_PER, B_LOC, I_LOC = range(5)


def entities(name: str, gold, predicted):
    return score(name, gold, predicted, labels=LABELS)


def words(rows):
    return [[LABELS[i] for i in row] for row in rows]


# Gold: 3 entities. Predicted: 4; two right, one too short, one that is not there.
GOLD = [[OUT, B_PER, I_PER, OUT], [B_LOC, OUT, B_PER, I_PER]]
GUESS = [[OUT, B_PER, I_PER, OUT], [B_LOC, B_LOC, B_PER, OUT]]


@pytest.mark.parametrize(
    ("name", "expected"), [("SeqEvalP", 2 / 4), ("SeqEvalR", 2 / 3), ("SeqEval", 2 * 2 / 7)]
)
def test_by_hand(name, expected):
    assert entities(name, GOLD, GUESS) == pytest.approx(100 * expected)


@pytest.mark.parametrize(
    ("gold", "guess", "right"),
    [
        ([B_PER, I_PER], [B_PER, OUT], False),  # its end is part of it
        ([B_PER, I_PER], [B_LOC, I_LOC], False),  # and its type
        ([B_PER, B_PER], [B_PER, I_PER], False),  # two are not one
        ([B_PER, OUT], [I_PER, OUT], True),  # an I- that continues nothing begins
        ([B_PER, B_LOC], [B_PER, I_LOC], True),  # as does one of another type
    ],
)
def test_what_is_an_entity_as_conlls_script_has_it(gold, guess, right):
    assert (entities("SeqEval", [gold], [guess]) == 100.0) == right


def test_an_entity_ends_with_its_sentence():
    assert entities("SeqEvalR", [[OUT, B_PER], [I_PER, OUT]], [[OUT, B_PER], [I_PER, OUT]]) == 100.0
    assert entities("SeqEvalP", [[OUT, B_PER, I_PER, OUT]] * 2, [[OUT, B_PER, OUT, OUT]] * 2) == 0.0


def test_against_the_library():
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 12, 40)
    gold, guess = ([rng.integers(0, 5, n).tolist() for n in lengths] for _ in range(2))
    guess = [g if rng.random() < 0.5 else p for g, p in zip(gold, guess, strict=True)]
    for name, function in (
        ("SeqEval", seqeval.f1_score),
        ("SeqEvalP", seqeval.precision_score),
        ("SeqEvalR", seqeval.recall_score),
    ):
        assert entities(name, gold, guess) == pytest.approx(
            100 * function(words(gold), words(guess))
        )


def test_by_sentence_rightly_naming_nothing_counts_as_right():
    gold = [[OUT, OUT], [B_PER, B_LOC], [OUT], [B_PER]]
    guess = [[OUT, OUT], [B_PER, OUT], [B_PER], [OUT]]  # 1, 2/3, 0, 0
    assert entities("SeqEvalList", gold, guess) == pytest.approx(100 * (1 + 2 / 3) / 4)
    assert entities("SeqEval", gold, guess) == pytest.approx(100 * 2 * 1 / (3 + 2))


def test_no_entities():
    nothing, something = [[OUT, OUT]], [[OUT, B_PER]]
    given = {"labels": LABELS}
    of = "sentences without entities"
    assert reported("SeqEval", of, nothing, nothing, **given) == 0.0
    assert reported("SeqEvalR", of, nothing, something, **given) == 0.0
    of = "predictions without entities"
    assert reported("SeqEvalP", of, something, nothing, **given) == 0.0
    assert entities("SeqEval", something, nothing) == 0.0
    assert entities("SeqEvalList", nothing, nothing) == 100.0


def test_as_many_predictions_as_words():
    with pytest.raises(ValueError, match="example 1: 2 gold labels for 1 predictions"):
        entities("SeqEval", [[OUT], [OUT, OUT]], [[OUT], [OUT]])


# Tag schemes.


def ids(labels, *words):
    return [labels.index(word) for word in words]


def test_types_without_tags():
    """The first letter of DATE and RATE is no tag: both would be entities of type ATE."""
    labels = ("O", "DATE", "RATE")
    gold, guess = ids(labels, "O", "DATE", "O"), ids(labels, "O", "RATE", "O")
    assert score("SeqEval", [gold], [guess], labels=labels) == 0.0
    labels = ("O", "OBJ")
    gold = ids(labels, "O", "OBJ", "OBJ", "O")
    assert score("SeqEval", [gold], [gold], labels=labels) == 100.0
    short = ids(labels, "O", "OBJ", "O", "O")  # a run of a type is one entity
    assert score("SeqEval", [gold], [short], labels=labels) == 0.0


@pytest.mark.parametrize(
    ("labels", "scheme"),
    [
        (("O", "B-PER", "I-PER"), "IOB2"),
        (("O", "I-PER", "I-LOC"), "IOB2"),  # IOB1 without neighbours is read alike
        (("O", "B", "I"), "IOB2"),
        (("O", "I-PER", "E-PER"), "IOE2"),
        (("O", "B-PER", "I-PER", "E-PER", "S-PER"), "BIOES"),
        (("O", "B-PER", "I-PER", "L-PER", "U-PER"), "BILOU"),
        (("O", "DATE", "RATE"), "none"),
        (("O", "OBJ"), "none"),
        (("N", "V"), "none"),
        (("O", "B-PER", "I-PER", "X", "CLS", "SEP"), "IOB2"),  # as in MT-DNN's task files
    ],
)
def test_labels_that_show_their_scheme(labels, scheme):
    assert tag_scheme(labels) == scheme


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (["O", "B-PER", "LOC"], {}, "the labels B-PER, LOC fit no tag scheme. Name one of IOB1, "),
        (["O", "B-PER", "L-PER", "E-PER"], {}, "the labels B-PER, L-PER, E-PER fit no tag scheme"),
        (
            ["O", "DATE", "RATE"],
            {"tag_scheme": "IOB2"},
            "tag_scheme IOB2 has the labels O and B-TYPE, I-TYPE, and not DATE, RATE",
        ),
        (["O", "B-X"], {"tag_scheme": "IOB"}, "unknown tag_scheme 'IOB'. Choices: auto, IOB1, "),
    ],
)
def test_a_scheme_that_cannot_be_read_is_refused(labels, options, message):
    with pytest.raises(UserError, match=r"^tasks.yml:1: task 't': options: tag_scheme: ") as caught:
        make_task("SequenceLabeling", labels=labels, metrics=("SeqEval",), options=options)
    assert message in str(caught.value)


def test_labels_that_name_no_entities_are_refused_by_metrics_of_entities_alone():
    labels = ["O", "B-PER", "LOC"]
    assert make_task("SequenceLabeling", labels=labels).options["tag_scheme"] == "auto"
    named = {"tag_scheme": "none"}
    make_task("SequenceLabeling", labels=labels, metrics=("SeqEval",), options=named)


def test_the_option_decides():
    """As types, E and B are runs; as tags of IOE and IOB they are not."""
    labels = ("O", "B-X", "I-X")
    gold, guess = ids(labels, "B-X", "I-X"), ids(labels, "B-X", "B-X")
    assert score("SeqEvalP", [gold], [guess], labels=labels) == 0.0
    named = {"options": {"tag_scheme": "none"}, "labels": labels}
    assert score("SeqEvalR", [gold], [guess], **named) == 0.0
    assert score("SeqEvalP", [guess], [guess], **named) == 100.0


def test_marks_of_special_tokens_are_no_entities():
    labels = ("O", "B-PER", "I-PER", "CLS", "SEP")
    gold, guess = ids(labels, "O", "B-PER", "O"), ids(labels, "CLS", "B-PER", "SEP")
    assert score("SeqEval", [gold], [guess], labels=labels) == 100.0


@pytest.mark.parametrize("scheme", TAGS)
def test_random_sentences_score_as_in_conlleval(scheme):
    types = ("PER", "LOC", "E", "B-I")
    labels = ("O", *(f"{tag}-{kind}" for tag in TAGS[scheme] for kind in types))
    if scheme == "none":
        labels = ("O", *types)
    rng = np.random.default_rng(0)
    for _ in range(200):
        lengths = rng.integers(1, 9, 4)
        gold = [rng.integers(0, len(labels), n) for n in lengths]
        guess = [np.where(rng.random(len(g)) < 0.6, g, rng.permutation(g)).tolist() for g in gold]
        gold = [g.tolist() for g in gold]
        words = ([[labels[i] for i in row] for row in side] for side in (gold, guess))
        expected = conlleval.f1(*words, scheme)
        given = {"labels": labels, "options": {"tag_scheme": scheme}}
        if any(map(any, gold)) or any(map(any, guess)):
            assert score("SeqEval", gold, guess, **given) == pytest.approx(expected, abs=1e-9)
