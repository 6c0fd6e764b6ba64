"""Files of HANS's and AdvGLUE's shape: what is read, what is refused, how groups are scored."""

from __future__ import annotations

import json
import re

import pytest

from data_utils.errors import UserError
from data_utils.formats import Row
from data_utils.inputs import parse_row, without_label
from mt_dnn.inference.answers import Answer
from mt_dnn.robustness.advglue import read_advglue
from mt_dnn.robustness.challenge import Challenge, score_challenge
from mt_dnn.robustness.hans import read_hans
from mt_dnn.robustness.settings import Radius, Settings, parse_challenges
from tests.support.tasks import make_task

THREE = ("contradiction", "neutral", "entailment")
PAIR = {"data_format": "PremiseAndOneHypothesis"}
TASKS = {
    "mnli": make_task(name="mnli", labels=THREE, **PAIR),
    "qnli": make_task(name="qnli", labels=("not_entailment", "entailment"), **PAIR),
    "sst2": make_task(name="sst2", labels=("0", "1")),
    "stsb": make_task("Regression", name="stsb", **PAIR),
}
HANS = """\
gold_label\tsentence1_parse\tsentence1\tsentence2\tpairID\theuristic\tsubcase\ttemplate
non-entailment\t(x)\tThe actor paid the judge .\tThe judge paid the actor .\tex0\tlexical_overlap\tln_swap\ttemp1
entailment\t(x)\tThe actor said "no" .\tThe actor said "no" .\tex1\tsubsequence\tse_same\ttemp2
"""
ADVGLUE = {
    "sst2": [{"idx": 3, "label": 1, "sentence": "good , realy", "method": "typo"}],
    "mnli": [{"idx": 0, "label": 0, "premise": "a", "hypothesis": "b"}],
    "mnli-mm": [{"idx": 0, "label": 1, "premise": "c", "hypothesis": "d"}],
    "qnli": [{"idx": 0, "label": 1, "question": "who?", "sentence": "she"}],
    "rte": [{"idx": 0, "label": 1, "sentence1": "a", "sentence2": "b"}],
}


class Fixed:
    """Predicts the given probabilities, row by row."""

    def __init__(self, *chances: dict[str, float]) -> None:
        self.chances = chances

    def predict(self, task, rows, batch_size):
        assert all(row.values["label"] == "" for row in rows)
        return [Answer("0", max(own, key=own.get), own) for own in self.chances]


def test_hans_is_read_with_its_groups(tmp_path):
    path = tmp_path / "hans.txt"
    path.write_text(HANS)
    (found,) = read_hans(path, TASKS, "mnli")
    assert (found.name, found.task) == ("hans", "mnli")
    assert found.gold == ["non-entailment", "entailment"]
    assert found.groups["heuristic"] == ["lexical_overlap", "subsequence"]
    assert found.groups["subcase"] == ["ln_swap", "se_same"]
    parsed = [parse_row(without_label(row), TASKS["mnli"]) for row in found.rows]
    assert parsed[0].texts == ("The actor paid the judge .", "The judge paid the actor .")
    assert [example.uid for example in parsed] == ["ex0", "ex1"]


def test_neutral_and_contradiction_are_both_no_entailment(tmp_path):
    path = tmp_path / "hans.txt"
    path.write_text(HANS)
    (challenge,) = read_hans(path, TASKS, "mnli")
    # 0.4 of entailment is the best label, though the other two have 0.6 together, as in the paper.
    best = {"contradiction": 0.3, "neutral": 0.3, "entailment": 0.4}
    other = {"contradiction": 0.5, "neutral": 0.2, "entailment": 0.3}
    right = score_challenge(Fixed(other, best), challenge)
    assert right["metrics"] == {"ACC": 100.0}
    assert right["loss"] == pytest.approx(0.64, abs=0.005)  # -(log 0.7 + log 0.4) / 2
    wrong = score_challenge(Fixed(best, best), challenge)
    assert wrong["metrics"] == {"ACC": 50.0}
    assert wrong["groups"]["heuristic"] == {
        "lexical_overlap": {"non-entailment": {"rows": 1, "ACC": 0.0}},
        "subsequence": {"entailment": {"rows": 1, "ACC": 100.0}},
    }


@pytest.mark.parametrize(
    ("text", "task", "message"),
    [
        (HANS, None, "name the task"),
        (HANS, "sst2", "has no label 'entailment'"),
        (HANS.replace("non-entailment", "neutral"), "mnli", "hans.txt:2: gold_label 'neutral'"),
        (HANS.replace("sentence2", "hypo"), "mnli", "the header has no column 'sentence2'"),
        (HANS.replace("heuristic", "kind"), "mnli", "column 'heuristic' is missing"),
        (HANS.split("\n")[0] + "\n", "mnli", "the file has no rows"),
    ],
)
def test_what_hans_refuses(tmp_path, text, task, message):
    path = tmp_path / "hans.txt"
    path.write_text(text)
    with pytest.raises(UserError, match=re.escape(message)):
        read_hans(path, TASKS, task)


def test_advglue_is_read_by_task_and_its_ids_become_the_tasks_labels(tmp_path):
    path = tmp_path / "dev.json"
    path.write_text(json.dumps(ADVGLUE))
    found = {own.name.removeprefix("advglue/"): own for own in read_advglue(path, TASKS, None)}
    assert list(found) == ["sst2", "mnli", "mnli-mm", "qnli"]  # the run has no rte
    assert [own.task for own in found.values()] == ["sst2", "mnli", "mnli", "qnli"]
    assert [own.gold for own in found.values()] == [
        ["1"],
        ["entailment"],
        ["neutral"],
        ["not_entailment"],
    ]
    parsed = parse_row(found["qnli"].rows[0], TASKS["qnli"])
    assert parsed.texts == ("who?", "she")
    assert found["sst2"].groups == {"method": ["typo"]}
    assert found["mnli"].groups == {}
    assert [own.task for own in read_advglue(path, TASKS, "qnli")] == ["qnli"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "expected an object with a list of rows"),
        ({"sst2": {}}, "expected an object with a list of rows"),
        ({"cola": [{}]}, "no task that the run has is in the file"),
        ({"sst2": [3]}, "sst2, row 0: expected an object"),
        ({"sst2": [{"label": 0}]}, "sst2, row 0: no texts"),
        ({"sst2": [{"label": 2, "sentence": "a"}]}, "label 2 is not an id from 0 to 1"),
        ({"sst2": [{"label": True, "sentence": "a"}]}, "label True is not an id"),
        ({"sst2": [{"label": 1, "premise": "a", "hypothesis": "b"}]}, "2 texts"),
        ({"stsb": [{"label": 1, "premise": "a", "hypothesis": "b"}]}, "are none of GLUE's"),
    ],
)
def test_what_advglue_refuses(tmp_path, values, message):
    path = tmp_path / "dev.json"
    path.write_text(json.dumps(values))
    with pytest.raises(UserError, match=re.escape(message)):
        read_advglue(path, TASKS, None)


def test_a_task_without_classes_has_no_accuracy():
    class Number:
        def predict(self, task, rows, batch_size):
            return [Answer("0", 1.5, 1.5)]

    challenge = Challenge("mine", "stsb", [Row({"label": "1"}, "x:1")], ["1"])
    with pytest.raises(UserError, match="does not predict one of several classes"):
        score_challenge(Number(), challenge)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Radius.parse("-0.1"), "--radius: '-0.1' is not a number of 0 or more"),
        (lambda: Radius.parse("wide"), "--radius: 'wide' is not a number"),
        (lambda: Radius.parse("inf%"), "--radius: 'inf%' is not a number"),
        (lambda: Settings(steps=0), "--steps: 0; it must be at least 1"),
        (lambda: Settings(attack_rows=0), "--attack_rows: 0"),
        (lambda: Settings(task="mnli"), "--task names the task of --challenge"),
        (lambda: parse_challenges(["hans"]), "name its file, as in hans=FILE"),
        (lambda: parse_challenges(["hans=gone.txt"]), "there is no file 'gone.txt'"),
        (lambda: parse_challenges(["hams=x"]), "Did you mean 'hans'?"),
    ],
)
def test_settings_that_are_refused(call, message):
    with pytest.raises(UserError, match=re.escape(message)):
        call()


def test_radii():
    assert Radius.parse("5%") == Radius(0.05, relative=True)
    assert Radius.parse("5e-4") == Radius(5e-4, relative=False)
