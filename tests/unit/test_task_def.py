"""A task's labels and the names of its data sets."""

from __future__ import annotations

import pytest

from data_utils.errors import UserError
from data_utils.task_def import dataset_name, split_role
from tests.support.task_files import NUMBER, PAIR


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
