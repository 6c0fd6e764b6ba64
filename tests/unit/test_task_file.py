"""The task file is read strictly: every mistake names file, line, task and the choices."""

from __future__ import annotations

import pytest

from data_utils.errors import UserError
from mt_dnn.task_types import load_tasks
from tests.support.task_files import NUMBER, PAIR, refused


def test_the_defaults(load):
    task = load(PAIR)["rte"]
    assert task.n_class == 2
    assert task.metric_for_best == "ACC"
    assert task.split_names == ("train", "dev", "test")
    assert (task.dropout, task.activation, task.pooling, task.max_seq_len) == (None,) * 4
    assert task.head_name == "rte"
    assert [task.encode_label(word) for word in task.labels] == [0, 1]
    assert task.decode_label([1, 0]) == ["entailment", "not_entailment"]


MISTAKES = {
    "unknown key": ("  metric_mata: [ACC]", ["'metric_mata'", "Did you mean 'metric_meta'?"]),
    "n_class disagrees": ("  n_class: 3", ["n_class: 3 but 2 labels", "not_entailment"]),
    "n_class zero": ("  n_class: 0", ["n_class: 0"]),
    "n_class text": ("  n_class: two", ["n_class: 'two'", "whole number"]),
    "n_class boolean": ("  n_class: true", ["n_class: True", "whole number"]),
    "dropout text": ("  dropout_p: high", ["dropout_p: 'high'", "number"]),
    "dropout range": ("  dropout_p: 1.5", ["dropout_p: 1.5", "[0, 1)"]),
    "weight range": ("  weight: -1", ["weight: -1"]),
    "length range": ("  max_seq_len: 2", ["max_seq_len: 2", "at least 8"]),
    "san text": ("  enable_san: 1", ["enable_san: 1", "true or false"]),
    "loss": ("  loss: MseCriterion", ["loss: 'MseCriterion'", "Choices: CeCriterion"]),
    "loss list": ("  loss: [CeCriterion]", ["loss: ['CeCriterion']", "a string"]),
    "divergence": ("  adv_loss: SymKL", ["adv_loss", "'SymKL'", "symmetric_kl"]),
    "distillation": ("  kd_loss: bernoulli_kl", ["kd_loss", "does not fit", "kl"]),
    "activation": ("  actf: tan", ["actf: 'tan'", "Did you mean 'tanh'?", "gelu", "none"]),
    "pooling": ("  pooling: max_pool", ["pooling: 'max_pool'", "cls", "mean"]),
    "best metric": ("  metric_for_best: F1", ["metric_for_best: 'F1'", "['ACC']"]),
    "split name": ("  split_names: [train, validation]", ["'validation'", "train, dev or test"]),
    "two train splits": ("  split_names: [train, a_train]", ["more than one train split"]),
    "a split twice": ("  split_names: [train, dev, dev]", ["twice"]),
    "source key": ("  source: {hubb: x}", ["source: unknown key 'hubb'", "'hub'"]),
    "source of both": ("  source: {hub: x, files: {train: y.tsv}}", ["either hub or files"]),
    "source of neither": ("  source: {config: rte}", ["either hub or files"]),
    "source text": ("  source: glue", ["source: 'glue' is not a mapping"]),
    "source column": (
        "  source: {hub: x, columns: {premis: sentence1}}",
        ["columns: unknown key 'premis'", "Did you mean 'premise'?"],
    ),
    "source split": (
        "  source: {hub: x, splits: {validation: dev}}",
        ["splits: unknown key 'validation'", "dev, test, train"],
    ),
    "source file": ("  source: {files: {train: x.xls}}", ["'x.xls'", ".tsv nor .jsonl"]),
    "columns of a TSV": (
        "  source: {files: {train: x.tsv}, columns: {premise: a}}",
        ["is TSV, which has no column names"],
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_names_file_line_task_and_choices(load, mistake):
    line, words = MISTAKES[mistake]
    refused(load, PAIR + line + "\n", "task 'rte'", *words, line=6)  # that of the key


REPLACED = {
    "metric": ("[ACC]", "[ACCU]", ["unknown metric 'ACCU'", "Did you mean 'ACC'?", "Pearson"]),
    "metric missing": ("  metric_meta: [ACC]\n", "", ["'metric_meta' is missing"]),
    "metric empty": ("[ACC]", "[]", ["metric_meta is empty", "ACC"]),
    "metric number": ("[ACC]", "[1]", ["metric_meta: [1] is not a list of strings"]),
    "only a matrix": ("[ACC]", "[CMAT]", ["metric_for_best", "CMAT"]),
    "format": (
        "PremiseAndOneHypothesis",
        "PremiseAndHypothesis",
        ["unknown data_format", "Did you mean 'PremiseAndOneHypothesis'?", "PremiseOnly"],
    ),
    "type": (
        "Classification",
        "Clasification",
        ["unknown task_type", "Did you mean 'Classification'?", "Regression", "Ranking"],
    ),
    "boolean labels": ("[not_entailment, entailment]", "[yes, no]", ["True", "quote it"]),
    "null label": ("[not_entailment, entailment]", "[null, x]", ["quote it"]),
    "label twice": ("[not_entailment, entailment]", "[a, a]", ["contains a label twice"]),
    "labels text": ("[not_entailment, entailment]", "entailment", ["is not a list"]),
    "no classes": (
        "  labels: [not_entailment, entailment]\n",
        "",
        ["Classification needs labels, or n_class"],
    ),
    "one class": ("[not_entailment, entailment]", "[a]", ["n_class: 1", "at least 2"]),
    "a format of candidates": (
        "PremiseAndOneHypothesis",
        "PremiseAndMultiHypothesis",
        ["data_format: 'PremiseAndMultiHypothesis' does not fit task_type Classification"],
    ),
    "a type of candidates": (
        "Classification",
        "Ranking",
        ["does not fit task_type Ranking", "Choices: PremiseAndMultiHypothesis"],
    ),
    "a number with labels": ("Classification", "Regression", ["n_class: 1", "no labels"]),
    "task name": ("rte:", "r.te:", ["letters, digits"]),
}
LINES = {
    **dict.fromkeys(("metric missing", "no classes", "one class", "only a matrix"), 1),
    **{"a type of candidates": 2, "a number with labels": 1},
}
"""Mistake -> line, where the message is about another key than the changed one, or about the entry."""


@pytest.mark.parametrize("mistake", REPLACED)
def test_a_wrong_value_names_file_line_task_and_choices(load, mistake):
    old, new, words = REPLACED[mistake]
    assert old in PAIR
    before = PAIR[: PAIR.index(old)]
    line = LINES.get(mistake, 1 + before.count("\n"))
    refused(load, PAIR.replace(old, new), "task '", *words, line=line)


def test_a_key_with_two_values_names_both_lines(load):
    refused(
        load, PAIR + "  labels: [a, b]\n", "'labels' occurs twice", "first is in line 4", line=6
    )
    refused(load, PAIR + PAIR.replace("ACC", "F1"), "'rte' occurs twice", line=6)
    refused(load, PAIR + "  n_class: 1\n  n_class: true\n", "'n_class' occurs twice", line=7)


@pytest.mark.parametrize("again", [PAIR, "  labels: [not_entailment, entailment]\n"])
def test_a_key_given_twice_with_the_same_value_is_a_warning(load, again):
    with pytest.warns(UserWarning, match=r"tasks\.yml:6: key '\w+' occurs twice; .* same value"):
        assert load(PAIR + again) == load(PAIR)


def test_the_line_is_that_of_the_key(load):
    refused(load, "# comment\n" + PAIR + NUMBER + "  n_clas: 1\n", "task 'stsb'", line=12)


def test_the_line_of_an_inherited_key_is_that_of_the_task(load):
    base = PAIR + "  n_class: 3\n"
    refused(load, "\nmine:\n  extends: base.yml#rte\n", "n_class: 3", line=2, base=base)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "has no entries"),
        ("- a\n", "has no entries"),
        ("a: [\n", "not valid YAML"),
        ("a: b\n", "found 'b'"),
    ],
)
def test_a_file_without_tasks(load, text, word):
    with pytest.raises(UserError, match=word) as error:
        load(text)
    assert "tasks.yml" in str(error.value)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.yml does not exist"):
        load_tasks(tmp_path / "nowhere.yml")
    with pytest.raises(UserError, match="directory"):
        load_tasks(tmp_path)
    (tmp_path / "latin.yml").write_bytes("é:".encode("latin-1"))
    with pytest.raises(UserError, match=r"latin\.yml:1: not UTF-8: byte 0xe9"):
        load_tasks(tmp_path / "latin.yml")


@pytest.mark.parametrize(
    ("other", "splits"),
    [("rte_test", "[dev]"), ("RTE", "[train]")],
    ids=["data set", "case"],
)
def test_two_splits_with_one_file_are_refused(load, other, splits):
    """Predictions of the split test of rte, and of the split dev of rte_test, would be rte_test.jsonl."""
    text = PAIR + PAIR.replace("rte:", f"{other}:") + f"  split_names: {splits}\n"
    refused(load, text, "is also that of split", "rename one", line=text.count("\n") // 2 + 1)


@pytest.mark.parametrize("key", ["split_names", "head"])
@pytest.mark.parametrize("name", ["x/../../victim_dev", "a.b", ".."])
def test_names_lead_nowhere_else(load, key, name):
    value = f"[train, '{name}']" if key == "split_names" else f"'{name}'"
    text = PAIR + f"  {key}: {value}\n"
    refused(load, text, key, "is not a name", "letters, digits, - and _", line=6)
