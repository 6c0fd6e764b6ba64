"""Text perturbations: what they change, how much, and what they leave."""

from __future__ import annotations

import re

import pytest

from data_utils.errors import UserError
from data_utils.formats import Example
from mt_dnn.registries import PERTURBATIONS
from mt_dnn.robustness.perturbation import check_perturbation, perturb, refusal
from mt_dnn.robustness.settings import parse_perturbations
from mt_dnn.robustness.typos import NEIGHBOURS
from tests.support.tasks import make_task

TEXT = "The film isn't good, but we'll see it: they do not care about 3,000.50 reasons!"
TYPOS = ("swap_letters", "drop_letter", "repeat_letter", "neighbour_key")
NAMES = PERTURBATIONS.names()
MANY = " ".join(
    ["common words follow one another"] * 400
)  # 2,000 words, each with four letters or more... of 5


def changed(name: str, text: str = TEXT, *, seed: int = 0, uid: str = "7", **options) -> str:
    own = PERTURBATIONS.get(name).with_options("test", **options)
    return own.text(text, seed=seed, uid=uid, place=0)


@pytest.mark.parametrize("name", NAMES)
def test_a_text_depends_on_seed_and_uid_alone(name):
    rate = {"rate": 0.5}
    one = changed(name, MANY, **rate)
    assert changed(name, MANY, **rate) == one
    others = {changed(name, MANY, seed=1, **rate), changed(name, MANY, uid="8", **rate)}
    if name in ("lower", "remove_punctuation", "contract", "expand_contractions"):
        assert others == {MANY}  # nothing to change
    else:
        assert len(others | {one}) == 3


@pytest.mark.parametrize("name", NAMES)
def test_rate_zero_changes_nothing_and_rate_one_changes_a_text(name):
    assert changed(name, rate=0.0) == TEXT
    assert changed(name, rate=1.0) != TEXT or name == "drop_words"


@pytest.mark.parametrize("name", TYPOS)
def test_the_rate_is_the_share_of_the_words_with_a_typing_error(name):
    before, after = MANY.split(), changed(name, MANY, rate=0.2).split()
    long = [pair for pair in zip(before, after, strict=True) if len(pair[0]) >= 4]
    assert all(a == b for a, b in zip(before, after, strict=True) if len(a) < 4)
    # Swapping equal letters, such as those of "common", changes nothing.
    same = 0.1 if name == "swap_letters" else 0.0
    share = sum(a != b for a, b in long) / len(long)
    assert share == pytest.approx(0.2 * (1 - same), abs=0.03)
    grown = {"drop_letter": -1, "repeat_letter": 1}.get(name, 0)
    assert {len(b) - len(a) for a, b in long if a != b} == {grown}
    assert all(a[0] == b[0] and a[-1] == b[-1] for a, b in long)
    if name == "swap_letters":
        assert all(sorted(a) == sorted(b) for a, b in long)


def test_keys_are_neighbours_on_a_keyboard():
    assert set(NEIGHBOURS["s"]) == set("adwezx")
    assert set(NEIGHBOURS["q"]) == set("wa")
    assert all(key in NEIGHBOURS[other] for key, own in NEIGHBOURS.items() for other in own)


def test_the_rate_of_words_left_out():
    kept = len(changed("drop_words", MANY, rate=0.3).split()) / len(MANY.split())
    assert kept == pytest.approx(0.7, abs=0.03)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("lower", TEXT.lower()),
        ("upper", TEXT.upper()),
        (
            "remove_punctuation",
            "The film isn't good but we'll see it they do not care about 3,000.50 reasons",
        ),
        (
            "expand_contractions",
            "The film is not good, but we will see it: they do not care about 3,000.50 reasons!",
        ),
        (
            "contract",
            "The film isn't good, but we'll see it: they don't care about 3,000.50 reasons!",
        ),
    ],
)
def test_what_becomes_of_a_text(name, expected):
    assert changed(name, rate=1.0) == expected


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("Can't you", "Cannot you"),
        ("I won't", "I will not"),
        ("we shan't", "we shall not"),
        ("It doesn't", "It does not"),
        ("I'm and you're", "I am and you are"),
        ("THEY'LL", "THEY will"),
    ],
)
def test_contractions_are_written_out_and_back(short, long):
    assert changed("expand_contractions", short) == long
    assert changed("contract", long).lower() == short.lower()


@pytest.mark.parametrize("text", ["he's here", "we have it", "they are n't", "it's the dog's"])
def test_contractions_with_two_meanings_stay(text):
    assert changed("contract", text) == text.replace("they are n't", "they're n't")
    assert changed("expand_contractions", text) == text.replace("are n't", "are not")


def test_added_punctuation_follows_words():
    text = changed("add_punctuation", "one two three", rate=1.0)
    assert re.fullmatch(r"one[,.;:!?] two[,.;:!?] three[,.;:!?]", text)


def test_label_uid_and_extras_are_kept_and_no_text_becomes_blank():
    task = make_task("Classification", data_format="PremiseAndOneHypothesis")
    example = Example("7", ("one two", "three"), 1, {"ruid": ["a"]})
    for name in NAMES:
        own = PERTURBATIONS.get(name).with_options("test", rate=1.0)
        found = perturb(example, own, task, seed=0)
        assert (found.uid, found.label, found.extras) == ("7", 1, {"ruid": ["a"]})
        assert all(text.strip() for text in found.texts)
    dropped = perturb(
        example, PERTURBATIONS.get("drop_words").with_options("t", rate=1.0), task, seed=0
    )
    assert dropped == example


def test_the_texts_of_a_row_are_changed_independently():
    task = make_task("Classification", data_format="PremiseAndOneHypothesis")
    own = PERTURBATIONS.get("swap_letters").with_options("test", rate=0.5)
    first, second = perturb(Example("7", (MANY, MANY), 1), own, task, seed=0).texts
    assert first != second


def test_formats_declare_what_may_change():
    words = make_task("SequenceLabeling", data_format="Sequence")
    span = make_task("Span", data_format="MRC")
    masked = make_task("MaskLM", data_format="MLM")
    typo, drop = PERTURBATIONS.get("swap_letters"), PERTURBATIONS.get("drop_words")
    assert refusal(typo, words) is None
    assert "labels words" in str(refusal(drop, words))
    assert refusal(drop, span) is None
    assert "are its texts" in str(refusal(typo, masked))
    always = typo.with_options("test", rate=1.0)
    sentence = Example("7", ("Marie", "lives", "here"), [1, 0, 0])
    found = perturb(sentence, always, words, seed=0)
    assert len(found.texts) == 3
    assert all(" " not in word for word in found.texts)
    assert found != sentence
    question = Example("7", ("An unchanged document.", "Which question?"), None)
    document, asked = perturb(question, always, span, seed=0).texts
    assert document == "An unchanged document."
    assert asked != "Which question?"


@pytest.mark.parametrize("name", [n for n in NAMES if PERTURBATIONS.get(n).keeps_words])
def test_perturbations_that_declare_it_keep_the_words_of_a_text(name):
    assert len(changed(name, rate=1.0).split()) == len(TEXT.split())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["swap_leters"], "unknown perturbation 'swap_leters'. Did you mean 'swap_letters'?"),
        (["lower=1.5"], "not a number from 0 to 1"),
        (["lower=much"], "not a number from 0 to 1"),
        (["lower=nan"], "not a number from 0 to 1"),
        (["lower", "lower=0.5"], "named twice"),
    ],
)
def test_what_a_user_mistypes(given, message):
    with pytest.raises(UserError, match=re.escape(message)):
        parse_perturbations(given)


def test_names_and_rates():
    assert parse_perturbations(["lower", "upper=0.25"]) == {"lower": None, "upper": 0.25}
    assert parse_perturbations([]) == {}
    assert parse_perturbations(None) is None


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (3, "not a function"),
        (lambda text, rng: text, "no keyword-only parameter 'rate'"),
        (lambda text, rng, *, rate: text, "has no default"),
    ],
)
def test_a_plugin_that_is_no_perturbation(entry, message):
    with pytest.raises(TypeError, match=message):
        check_perturbation("mine", entry)
