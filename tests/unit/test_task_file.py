"""The task file is read strictly: every mistake names file, line, task and the choices."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from data_utils.registry import UserError
from data_utils.task_def import TaskDef, dataset_name, split_role
from mt_dnn.run_dir import tasks_yaml
from mt_dnn.task_types import load_tasks

PAIR = """\
rte:
  data_format: PremiseAndOneHypothesis
  task_type: Classification
  labels: [not_entailment, entailment]
  metric_meta: [ACC]
"""
NUMBER = """\
stsb:
  data_format: PremiseAndOneHypothesis
  task_type: Regression
  n_class: 1
  metric_meta: [Pearson, Spearman]
"""


@pytest.fixture
def load(tmp_path: Path):
    def load(text: str, **others: str) -> dict[str, TaskDef]:
        for name, content in others.items():
            (tmp_path / f"{name}.yml").write_text(content)
        path = tmp_path / "tasks.yml"
        path.write_text(text)
        return load_tasks(path)

    return load


def refused(load, text: str, *words: str, line: int = 1, **others: str) -> str:
    with pytest.raises(UserError) as error:
        load(text, **others)
    message = str(error.value)
    assert f"tasks.yml:{line}" in message
    for word in words:
        assert word in message
    return message


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
    "loss list": ("  loss: [CeCriterion]", ["loss: ['CeCriterion']", "a word"]),
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
    "source file": ("  source: {files: {train: x.csv}}", ["'x.csv'", ".tsv nor .jsonl"]),
    "columns of a TSV": (
        "  source: {files: {train: x.tsv}, columns: {premise: a}}",
        ["have an order"],
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_names_file_line_task_and_choices(load, mistake):
    line, words = MISTAKES[mistake]
    refused(load, PAIR + line + "\n", "task 'rte'", *words)


REPLACED = {
    "metric": ("[ACC]", "[ACCU]", ["unknown metric 'ACCU'", "Did you mean 'ACC'?", "Pearson"]),
    "metric missing": ("  metric_meta: [ACC]\n", "", ["'metric_meta' is missing"]),
    "metric empty": ("[ACC]", "[]", ["metric_meta is empty", "ACC"]),
    "metric number": ("[ACC]", "[1]", ["metric_meta: [1] is not a list of words"]),
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
    "label twice": ("[not_entailment, entailment]", "[a, a]", ["one label twice"]),
    "labels text": ("[not_entailment, entailment]", "entailment", ["is not a list"]),
    "no classes": ("  labels: [not_entailment, entailment]\n", "", ["give n_class", "labels"]),
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


@pytest.mark.parametrize("mistake", REPLACED)
def test_a_wrong_value_names_file_line_task_and_choices(load, mistake):
    old, new, words = REPLACED[mistake]
    assert old in PAIR
    refused(load, PAIR.replace(old, new), "task '", *words)


def test_a_key_that_stands_twice_names_its_line(load):
    refused(load, PAIR + "  labels: [a, b]\n", "'labels' stands twice", line=6)
    refused(load, PAIR + PAIR, "'rte' stands twice", line=6)


def test_the_line_is_that_of_the_task(load):
    refused(load, "# comment\n" + PAIR + NUMBER + "  n_clas: 1\n", "task 'stsb'", line=7)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "no tasks"),
        ("- a\n", "no tasks"),
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
    with pytest.raises(UserError, match=r"latin\.yml: not UTF-8"):
        load_tasks(tmp_path / "latin.yml")


# Tasks that build on others.


def test_extends_takes_the_keys_and_overrides_some(load):
    tasks = load(PAIR + "wide:\n  extends: rte\n  labels: [a, b, c]\n  n_class: 3\n")
    assert tasks["wide"].labels == ("a", "b", "c")
    assert tasks["wide"].metrics == tasks["rte"].metrics == ("ACC",)
    assert tasks["wide"].name == "wide"


def test_extends_reaches_into_another_file(load):
    base = PAIR + "small:\n  extends: rte\n  weight: 0.5\n"
    task = load("mine:\n  extends: base.yml#small\n  max_seq_len: 64\n", base=base)["mine"]
    assert (task.weight, task.max_seq_len, task.labels[1]) == (0.5, 64, "entailment")


def test_extends_what_is_not_there(load):
    message = refused(load, PAIR + "mine:\n  extends: rtee\n", "task 'mine'", line=6)
    assert "Did you mean 'rte'?" in message
    refused(load, "mine:\n  extends: base.yml#x\n", "extends 'x'", "base.yml lacks", base=PAIR)


def test_extends_in_a_circle(load):
    refused(load, "a:\n  extends: b\nb:\n  extends: a\n", "circle: a -> b -> a")
    refused(load, "a:\n  extends: a\n", "circle: a -> a")
    other = "b:\n  extends: tasks.yml#a\n"
    refused(load, "a:\n  extends: other.yml#b\n", "circle: a -> b -> a", other=other)


def test_the_same_name_in_two_files_is_no_circle(load):
    assert load("rte:\n  extends: base.yml#rte\n", base=PAIR)["rte"].n_class == 2


def test_yaml_anchors_merge_and_may_be_overridden(load):
    text = PAIR.replace("rte:", "rte: &pair") + "wnli:\n  <<: *pair\n  labels: [x, y]\n"
    assert load(text)["wnli"].labels == ("x", "y")


# Tasks that share a head.


def test_tasks_that_share_a_head_agree_on_it(load):
    same = "snli:\n  extends: rte\n  head: rte\n"
    assert load(PAIR + same)["snli"].head_name == "rte"
    message = refused(load, PAIR + same + "  dropout_p: 0.3\n", "task 'snli'", line=6)
    assert "differs from task 'rte' in dropout: 0.3 and None" in message
    refused(load, PAIR + same + "  labels: [entailment, not_entailment]\n", "labels", line=6)


def test_the_owner_of_a_head_is_right_wherever_it_stands(load):
    text = "snli:\n  extends: rte\n  head: rte\n  dropout_p: 0.3\n" + PAIR
    refused(load, text, "task 'snli'", "differs from task 'rte' in dropout: 0.3 and None")


def test_a_shared_head_needs_no_task_of_its_name(load):
    a, b = (f"{name}:\n  extends: rte\n  head: nli\n" for name in "ab")
    assert load(PAIR + a + b)["b"].head_name == "nli"
    refused(load, PAIR + a + b + "  labels: [x, y, z]\n", "task 'b'", "from task 'a'", line=9)


def test_two_tasks_must_not_share_a_store(load):
    text = PAIR + "  split_names: [train, hard_dev]\nrte_hard:\n  extends: rte\n"
    refused(load, text + "  split_names: [train, dev]\n", "rte_hard_dev", "task 'rte'", line=7)


# MT-DNN's own files.

CLASSIFICATION = """\
  enable_san: false
  loss: CeCriterion
  kd_loss: MseCriterion
  adv_loss: SymKlCriterion
  task_type: Classification
"""
GLUE = f"""\
cola:
  data_format: PremiseOnly
  dropout_p: 0.05
  metric_meta:
  - ACC
  - MCC
  n_class: 2
{CLASSIFICATION}
mnli:
  data_format: PremiseAndOneHypothesis
  dropout_p: 0.3
  labels:
  - contradiction
  - neutral
  - entailment
  metric_meta:
  - ACC
  n_class: 3
  split_names:
  - train
  - matched_dev
  - mismatched_dev
  - matched_test
  - mismatched_test
{CLASSIFICATION}
qnnli:
  data_format: PremiseAndMultiHypothesis
  enable_san: true
  labels:
  - not_entailment
  - entailment
  metric_meta:
  - ACC
  n_class: 1
  loss: RankCeCriterion
  kd_loss: MseCriterion
  adv_loss: SymKlCriterion
  task_type: Ranking
stsb:
  data_format: PremiseAndOneHypothesis
  enable_san: false
  metric_meta:
  - Pearson
  - Spearman
  n_class: 1
  loss: MseCriterion
  kd_loss: MseCriterion
  adv_loss: MseCriterion
  task_type: Regression
"""


def test_an_mt_dnn_task_file_loads_unchanged(load):
    tasks = load(GLUE)
    cola, mnli, qnnli, stsb = tasks.values()
    assert (cola.dropout, cola.metrics, cola.labels) == (0.05, ("ACC", "MCC"), ())
    assert cola.encode_label("1") == 1
    assert (cola.kd_loss, cola.adv_loss) == ("squared_error", "symmetric_kl")
    assert mnli.splits("dev") == ["matched_dev", "mismatched_dev"]
    assert [dataset_name("mnli", s) for s in mnli.splits("dev")] == [
        "mnli_matched",
        "mnli_mismatched",
    ]
    assert (qnnli.n_class, qnnli.labels) == (1, ("not_entailment", "entailment"))
    assert qnnli.encode_label("entailment") == 1
    assert qnnli.enable_san
    assert stsb.adv_loss == "squared_error"
    assert stsb.encode_label("3.5") == 3.5


def test_what_a_run_writes_reads_back_the_same(load):
    text = GLUE + (
        "rte:\n  extends: mnli\n  labels: [a, b]\n  n_class: 2\n  split_names: [train, dev]\n"
        "  source: {hub: glue, config: rte, columns: {premise: s}, splits: {dev: validation}}\n"
    )
    tasks = load(text)

    def content(tasks: dict[str, TaskDef]) -> list[TaskDef]:
        return [dataclasses.replace(task, where="") for task in tasks.values()]

    assert content(load(tasks_yaml(tasks))) == content(tasks)


# Labels and names.


def test_labels_that_are_no_labels(load):
    tasks = load(PAIR + NUMBER + "cola:\n  extends: rte\n  labels: null\n  n_class: 2\n")
    with pytest.raises(UserError, match=r"'entail' .* Did you mean 'entailment'\?"):
        tasks["rte"].encode_label("entail")
    for text in ("high", "nan", "inf", ""):
        with pytest.raises(UserError, match="is not a number"):
            tasks["stsb"].encode_label(text)
    with pytest.raises(UserError, match=r"label 2 .* is outside 0\.\.1"):
        tasks["cola"].encode_label("2")
    with pytest.raises(UserError, match=r"-1 .* is outside 0\.\.1"):
        tasks["cola"].encode_label(-1)
    with pytest.raises(UserError, match=r"not an integer; .*labels: \[\.\.\.\]"):
        tasks["cola"].encode_label("yes")


def test_numbers_may_be_label_words(load):
    task = load(PAIR.replace("[not_entailment, entailment]", "[1, 0]"))["rte"]
    assert (task.encode_label("1"), task.encode_label(0)) == (0, 1)


def test_roles_and_data_set_names():
    assert [split_role(s) for s in ("train", "matched_dev", "a_b_test")] == ["train", "dev", "test"]
    assert [dataset_name("rte", s) for s in ("train", "dev", "hard_dev", "test")] == [
        *("rte_train", "rte", "rte_hard", "rte_test"),
    ]
