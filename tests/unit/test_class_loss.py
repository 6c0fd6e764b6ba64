"""Class weights and label smoothing: the loss by hand, its gradient, its options."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from data_utils.collator import IGNORE
from mt_dnn.runs.run_dir import tasks_yaml
from mt_dnn.task_types import TaskType, load_tasks
from tests.support.batches import make_batch
from tests.support.task_files import PAIR, refused
from tests.support.tasks import make_kind
from tests.support.token_labels import LABELS, STARTS, WIDTH, word_batch

WORDS = ("O", "B-x", "I-x")
OPTIONS: list[dict[str, Any]] = [
    {"label_smoothing": 0.3},
    {"class_weights": {"B-x": 2.5, "I-x": 0.2}},
    {"label_smoothing": 0.3, "class_weights": {"B-x": 2.5, "I-x": 0.2}},
]


def by_hand(logits: Tensor, labels: list[int], options: dict[str, Any]) -> Tensor:
    """The docstring's formula, in float64."""
    e = options.get("label_smoothing", 0.0)
    w = [options.get("class_weights", {}).get(word, 1.0) for word in WORDS]
    log_p = logits.double().log_softmax(-1)
    total, weight = torch.zeros((), dtype=torch.float64), 0.0
    for row, y in zip(log_p, labels, strict=True):
        if y != IGNORE:
            smooth = sum(w[c] * -row[c] for c in range(len(w)))
            total = total + (1 - e) * w[y] * -row[y] + e / len(w) * smooth
            weight += w[y]
    return total / weight


def examples(options: dict[str, Any]) -> tuple[TaskType, Any, list[int], Tensor]:
    kind = make_kind("Classification", labels=WORDS, options=options)
    labels = [1, 0, 2, 1]
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    return kind, make_batch([3] * 4, labels=labels), labels, logits


def words(options: dict[str, Any]) -> tuple[TaskType, Any, list[int], Tensor]:
    kind = make_kind("SequenceLabeling", labels=WORDS, options=options)
    logits = torch.randn(2, WIDTH, 3, generator=torch.Generator().manual_seed(0))
    return kind, word_batch(LABELS, STARTS), [*LABELS[0], *LABELS[1]], logits


@pytest.mark.parametrize("units", [examples, words])
@pytest.mark.parametrize("options", OPTIONS)
def test_loss_and_gradient_by_hand(units, options):
    kind, batch, labels, logits = units(options)
    ours, theirs = logits.clone().requires_grad_(), logits.double().requires_grad_()
    loss, expected = kind.loss(ours, batch), by_hand(theirs.flatten(0, -2), labels, options)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    loss.backward()
    expected.backward()
    assert torch.allclose(ours.grad.double(), theirs.grad, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("options", OPTIONS)
def test_the_loss_is_torchs(options):
    kind, batch, labels, logits = words(options)
    weights = options.get("class_weights", {})
    expected = F.cross_entropy(
        logits.flatten(0, 1),
        torch.tensor(labels),
        weight=torch.tensor([weights.get(word, 1.0) for word in WORDS]),
        label_smoothing=options.get("label_smoothing", 0.0),
        ignore_index=IGNORE,
    )
    assert kind.loss(logits, batch).item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("units", [examples, words])
def test_without_options_nothing_changes(units):
    plain, batch, labels, logits = units({})
    set_to_1 = units({"label_smoothing": 0, "class_weights": {"O": 1}})[0]
    expected = F.cross_entropy(
        logits.flatten(0, -2), torch.tensor(labels), ignore_index=IGNORE, reduction="sum"
    ) / sum(label != IGNORE for label in labels)
    for kind in (plain, set_to_1):
        assert torch.equal(kind.loss(logits, batch), expected)


def test_without_labelled_words_the_loss_is_0():
    kind, _, _, logits = words(OPTIONS[-1])
    logits.requires_grad_()
    loss = kind.loss(logits, word_batch([[IGNORE] * WIDTH] * 2, STARTS))
    loss.backward()
    assert loss.item() == 0
    assert not logits.grad.any()


def test_no_operator_waits_for_the_device():
    """A dispatch mode, as in test_waits, does not see the operators inside torch's cross_entropy."""
    kind, batch, _, logits = words(OPTIONS[-1])
    kind.loss(logits, batch)  # copies the weights
    with torch.profiler.profile() as profile:
        kind.loss(logits, batch)
    seen = {event.key for event in profile.key_averages()}
    assert "aten::cross_entropy_loss" in seen
    assert not seen & {"aten::masked_select", "aten::nonzero", "aten::item"}


@pytest.mark.parametrize("units", [examples, words])
def test_the_divergence_is_unweighted(units):
    kind, batch, _, p = units(OPTIONS[-1])
    assert torch.equal(
        kind.divergence(p, p.flip(-1), batch), units({})[0].divergence(p, p.flip(-1), batch)
    )


def test_weights_made_in_inference_mode_can_be_trained_with():
    kind, batch, _, logits = examples(OPTIONS[-1])
    with torch.inference_mode():
        kind.loss(logits, batch)
    kind.loss(logits.requires_grad_(), batch).backward()
    assert logits.grad.any()


def test_a_weight_moves_the_trained_prediction_towards_its_class():
    """A bias alone learns the class frequencies, multiplied by the weights."""
    batch = make_batch([3] * 4, labels=[0, 0, 0, 1])

    def learnt(**options: Any) -> Tensor:
        kind = make_kind("Classification", labels=("a", "b"), options=options)
        bias = torch.zeros(2, requires_grad=True)
        optimizer = torch.optim.SGD([bias], lr=1.0)
        for _ in range(300):
            optimizer.zero_grad()
            kind.loss(bias.expand(4, 2), batch).backward()
            optimizer.step()
        return bias.detach().softmax(-1)

    assert learnt().tolist() == pytest.approx([3 / 4, 1 / 4], abs=1e-4)
    assert learnt(class_weights={"b": 9.0}).tolist() == pytest.approx([1 / 4, 3 / 4], abs=1e-4)
    smoothed = [0.8 * 3 / 4 + 0.1, 0.8 * 1 / 4 + 0.1]
    assert learnt(label_smoothing=0.2).tolist() == pytest.approx(smoothed, abs=1e-4)


# Options.

MISTAKES = {
    "label_smoothing: 1.0": ["label_smoothing: 1.0 is outside [0, 1)"],
    "label_smoothing: -0.1": ["label_smoothing: -0.1 is outside [0, 1)"],
    "label_smoothing: .nan": ["outside [0, 1)"],
    "label_smoothing: high": ["label_smoothing: expected a number, got high"],
    "class_weights: [1, 2]": ["class_weights: expected a mapping, got [1, 2]"],
    "class_weights: {entailmnt: 2}": ["'entailmnt'", "Did you mean 'entailment'?"],
    "class_weights: {0: 2}": ["no label 0", "not_entailment"],
    "class_weights: {no: 2}": ["YAML reads", "quote"],
    "class_weights: {entailment: 0}": ["entailment: 0 is not a positive number"],
    "class_weights: {entailment: .inf}": ["inf is not a positive number"],
    "class_weights: {entailment: .nan}": ["nan is not a positive number"],
    "class_weights: {entailment: true}": ["True is not a positive number"],
    "class_weights: {entailment: much}": ["'much' is not a positive number"],
}


@pytest.mark.parametrize("option", MISTAKES)
def test_a_wrong_option_is_refused_with_its_place(load, option):
    refused(load, f"{PAIR}  options: {{{option}}}\n", "'rte'", "options", *MISTAKES[option])


def test_class_ids_name_the_classes_of_a_task_without_labels(load):
    ids = PAIR.replace("labels: [not_entailment, entailment]", "n_class: 2")
    task = load(f"{ids}  options: {{class_weights: {{1: 3}}}}\n")["rte"]
    assert task.options == {"label_smoothing": 0.0, "class_weights": {1: 3}}
    refused(load, f"{ids}  options: {{class_weights: {{2: 3}}}}\n", "no class id 2", "0, 1")


def test_options_written_by_a_run_load_again(load, tmp_path):
    option = "label_smoothing: 0.1, class_weights: {entailment: 2.5}"
    tasks = load(f"{PAIR}  options: {{{option}}}\n")
    path = tmp_path / "written.yml"
    path.write_text(tasks_yaml(tasks))
    assert load_tasks(path)["rte"].options == tasks["rte"].options
