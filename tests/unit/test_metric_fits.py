"""Metrics that do not measure what a task predicts are refused when its task file is read."""

from __future__ import annotations

import pytest

from data_utils.errors import UserError
from data_utils.metrics import Metric, Outcome
from data_utils.registries import METRICS
from mt_dnn.registries import TASK_TYPES
from tests.support.tasks import make_task

CLASSES3 = "{data_format: PremiseOnly, task_type: Classification, n_class: 3, metric_meta: [%s]}"
CLASSES2 = CLASSES3.replace("n_class: 3", "labels: [a, b]")
RANKING = (
    "{data_format: PremiseAndMultiHypothesis, task_type: Ranking, n_class: 1, metric_meta: [%s]}"
)
CHOICE = RANKING.replace("Ranking", "MultipleChoice")
NUMBER = "{data_format: PremiseOnly, task_type: Regression, n_class: 1, metric_meta: [%s]}"
SETS = "{data_format: PremiseOnly, task_type: MultiLabel, labels: [a, b], metric_meta: [%s]}"
WORDS = (
    "{data_format: Sequence, task_type: SequenceLabeling, labels: [O, B-X, I-X], metric_meta: [%s]}"
)
SPAN = "{data_format: MRC, task_type: Span, metric_meta: [%s]}"
TEXT = "{data_format: PremiseOnly, task_type: SequenceGeneration, metric_meta: [%s]}"
MASKED = "{data_format: MLM, task_type: MaskLM, metric_meta: [%s]}"


@pytest.mark.parametrize(
    ("entry", "metric", "predicts", "fitting"),
    [
        (CLASSES3, "F1", "one of several classes", ["F1MAC", "F1MIC", "ACC"]),
        (CLASSES3, "AUC", "one of several classes", ["ECE"]),
        (CLASSES3, "Pearson", "one of several classes", ["MCC"]),
        (CLASSES3, "MultiRCEM", "one of several classes", ["ACC"]),
        (CLASSES2, "SeqEval", "one of two classes", ["F1", "AUC", "MultiRCEM"]),
        (RANKING, "Spearman", "right or wrong for each candidate", ["ACC", "F1", "AUC"]),
        (RANKING, "MultiRCF1a", "right or wrong for each candidate", ["ACC"]),
        (CHOICE, "F1", "the position of a candidate", ["ACC"]),
        (NUMBER, "ACC", "a number", ["Pearson", "Spearman"]),
        (SETS, "MCC", "a set of labels", ["F1MIC", "AUC"]),
        (WORDS, "F1", "a class for each word", ["SeqEval", "F1MAC"]),
        (SPAN, "ACC", "a text", ["EM", "AnswerF1", "CMRCEM", "CMRCF1"]),
        (TEXT, "Pearson", "a text", ["EM"]),
        (MASKED, "F1MAC", "the masked tokens", ["ACC", "Perplexity"]),
    ],
)
def test_a_metric_of_something_else_is_refused(load, entry, metric, predicts, fitting):
    with pytest.raises(UserError) as caught:
        load("first: " + CLASSES2 % "ACC" + "\nbad: " + entry % metric + "\n")
    message = str(caught.value)
    assert "tasks.yml:2: task 'bad': metric_meta: " in message
    assert f"{metric} does not fit the task: task_type " in message
    assert f" predicts {predicts}, and {metric} measures " in message
    choices = message.split("Choices: ")[1].removesuffix(".").split(", ")
    assert set(fitting) <= set(choices)
    assert metric not in choices
    for choice in set(choices) - {"CMAT"}:  # which selects no model
        load("good: " + entry % choice + "\n")


def test_the_choices_of_f1_on_three_classes(load):
    with pytest.raises(UserError, match=r"Did you mean 'F1MIC'\?|Did you mean 'F1MAC'\?"):
        load("bad: " + CLASSES3 % "F1" + "\n")


def test_every_type_and_metric_declare_what_they_are_about():
    for name in TASK_TYPES.names():
        if TASK_TYPES.is_builtin(name):
            task = make_task(name)
            assert isinstance(TASK_TYPES.get(name).outcome(task), Outcome), name
    for name in METRICS.names():
        if METRICS.is_builtin(name):
            assert METRICS.get(name).fits, name


def test_every_outcome_can_be_measured():
    for outcome in Outcome:
        assert any(outcome in METRICS.get(name).fits for name in METRICS.names()), outcome


def test_an_undeclared_metric_fits_every_type_and_an_undeclared_type_every_metric(monkeypatch):
    plain = Metric(lambda results: 1.0, "ACC")
    monkeypatch.setitem(METRICS._entries, "ACC", plain)
    make_task("Regression", metrics=("ACC",))
    regression = TASK_TYPES.get("Regression")
    monkeypatch.setattr(regression, "outcome", lambda task: None)
    make_task("Regression", metrics=("F1",))


def test_generated_label_words_of_task_files_without_labels():
    """MT-DNN's glue_task_gen_def.yml has n_class and metrics of classes, and rows with ids."""
    task = make_task("SequenceGeneration", n_class=2, metrics=("ACC", "F1"))
    assert task.labels == ("0", "1")
    assert make_task("SequenceGeneration", n_class=2, metrics=("EM",)).labels == ()
    with pytest.raises(UserError, match=r"Pearson does not fit the task: .* predicts a text"):
        make_task("SequenceGeneration", n_class=1, metrics=("Pearson",))
