"""Tasks of a task file that build on others, share a head, or must not share a store."""

from __future__ import annotations

from tests.support.task_files import PAIR, refused

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
    message = refused(load, PAIR + "mine:\n  extends: rtee\n", "task 'mine'", line=7)
    assert "Did you mean 'rte'?" in message
    text = "mine:\n  extends: base.yml#x\n"
    refused(load, text, "extends: ", "base.yml has no task 'x'", line=2, base=PAIR)


def test_extends_in_a_cycle(load):
    refused(load, "a:\n  extends: b\nb:\n  extends: a\n", "cycle: a -> b -> a", line=2)
    refused(load, "a:\n  extends: a\n", "cycle: a -> a", line=2)
    other = "b:\n  extends: tasks.yml#a\n"
    refused(load, "a:\n  extends: other.yml#b\n", "cycle: a -> b -> a", line=2, other=other)


def test_the_same_name_in_two_files_is_no_cycle(load):
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


def test_the_second_train_split_is_the_task_that_the_message_writes(load):
    advice = "`rte_2: {extends: rte, head: rte, split_names: [train]}`"
    refused(load, PAIR + "  split_names: [a_train, b_train, dev]\n", advice, line=6)
    tasks = load(PAIR + f"  split_names: [a_train, dev]\n{advice.strip('`')}\n")
    assert [task.head_name for task in tasks.values()] == ["rte", "rte"]
    assert tasks["rte_2"].split_names == ("train",)


def test_two_tasks_must_not_share_a_store(load):
    text = PAIR + "  split_names: [train, hard_dev]\nrte_hard:\n  extends: rte\n"
    refused(load, text + "  split_names: [train, dev]\n", "rte_hard_dev", "task 'rte'", line=7)
